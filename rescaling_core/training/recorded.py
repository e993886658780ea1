"""A loss and its gradients, recorded once as a CUDA graph and then replayed.

A step of a small network is some thousand short kernels. Python starts them one by one more slowly
than a GPU works them off; a recorded graph starts them all at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

_WARM_UPS: Final = 3
"""Runs before the recording, in which libraries choose kernels and compiled code is made."""


class Recorded:
    """A function of tensors of fixed shapes whose first result goes backward, on a GPU."""

    def __init__(
        self,
        compute: Callable[..., Mapping[str, Tensor]],
        example: Sequence[Tensor],
        parameters: Sequence[nn.Parameter],
    ) -> None:
        """Record it.

        Args:
            compute: Takes tensors shaped as `example`, gives scalars by name, of which `loss` is
                what goes backward. It may use nothing that comes from the CPU anew each time, nor
                random numbers.
            example: One set of inputs, on the GPU.
            parameters: What the gradients are for. They always lie in the same memory, so nobody
                may set them to None.

        Raises:
            RuntimeError: Something in it cannot be recorded.
        """
        self._inputs = [tensor.clone() for tensor in example]
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UPS):
                _forget(parameters)
                compute(*self._inputs)["loss"].backward()  # type: ignore[no-untyped-call]
        torch.cuda.current_stream().wait_stream(beside)
        _forget(parameters)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            results = compute(*self._inputs)
            results["loss"].backward()  # type: ignore[no-untyped-call]
        self._results = {name: value.detach() for name, value in results.items()}

    def __call__(self, *inputs: Tensor) -> Mapping[str, Tensor]:
        """Compute it for other inputs: the gradients are set, not added to.

        Returns:
            The scalars, in memory that the next call overwrites.
        """
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        return self._results


def _forget(parameters: Sequence[nn.Parameter]) -> None:
    """So that the next gradient is written and not added."""
    for parameter in parameters:
        parameter.grad = None
