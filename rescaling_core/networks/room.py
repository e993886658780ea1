"""Building a network stops at the tensor that is one too many, before memory is gone.

How much a config asks for is known only to the class that it belongs to. So the tensors are counted
as they are registered, by hooks that are set once, since threads may build at the same time.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn.modules import module as torch_module

from rescaling_core import limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn


@dataclass(slots=True)
class _Room:
    values: int
    tensors: int


_room: ContextVar[_Room | None] = ContextVar("refold_room_for_a_network", default=None)


@contextmanager
def at_most(values: int | None) -> Iterator[None]:
    """Let networks that are built inside have so many values; any number if None.

    Raises:
        ValueError: One asks for more values, or more tensors than `limits.MAX_TENSORS`.
    """
    token = _room.set(None if values is None else _Room(values, limits.MAX_TENSORS))
    try:
        yield
    finally:
        _room.reset(token)


def _count(_module: nn.Module, _name: str, tensor: Tensor | None) -> None:
    room = _room.get()
    if room is None or tensor is None:
        return
    room.values -= tensor.numel()
    room.tensors -= 1
    if room.values < 0 or room.tensors < 0:
        raise ValueError("its config asks for more tensors than the file holds")


torch_module.register_module_parameter_registration_hook(_count)
torch_module.register_module_buffer_registration_hook(_count)
