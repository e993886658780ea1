"""Progress as events: whoever wants a bar listens, the steps do not know who does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Step = Literal[
    "scan",
    "sample",
    "convert",
    "restore",
    "evaluate",
    "code",
    "train",
    "check",
    "clean",
    "retire",
    "export",
]
"""What a run is doing, as the bar names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a step of a run has come."""

    step: Step
    done: int
    """Sources finished."""
    total: int | None
    """Sources to do; None while it is not known."""
    nbytes: int = 0
    """Source bytes finished."""


Listener = Callable[[Progress], None]
_listener: ContextVar[Listener | None] = ContextVar("refold_progress_listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` on every progress event raised inside."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def report(event: Progress) -> None:
    """Tell the listener, if there is one."""
    if listener := _listener.get():
        listener(event)


def scanned(count: int) -> None:
    """Tell the listener how many objects a listing has given so far."""
    report(Progress(step="scan", done=count, total=None))
