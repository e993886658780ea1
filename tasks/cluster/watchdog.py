"""Ends a worker in which an image takes longer than it may.

A native decoder that hangs cannot be interrupted, and may hold Python's lock, so that no thread of
ours would run. The time is kept by a thread of `faulthandler`, which needs no lock: it writes where
every thread is to the worker's log and ends the process. The pool then sees that the worker died.
"""

from __future__ import annotations

import faulthandler
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from tasks import settings
from tasks.cluster.memory import FREE_MEMORY

_STANDARD_ERROR: Final = 2
"""File descriptor: what Python calls `sys.stderr` may be something else by then."""

MEGAPIXEL: Final = 1_000_000


def allowed_seconds(pixels: int, *, at_once: int = 1) -> float:
    """Seconds that an image may take.

    Args:
        pixels: Width × height.
        at_once: Images of a worker under way together: each waits for the others.

    Raises:
        UsageError: A variable has a value it cannot have.
    """
    told = settings.current()
    seconds = told.seconds_per_image + told.seconds_per_megapixel * pixels / MEGAPIXEL
    return float(seconds * at_once)


class Watchdog:
    """Keeps the time of all images that this process works on; for workers only."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._deadlines: dict[object, float] = {}

    @contextmanager
    def watching(self, seconds: float) -> Iterator[None]:
        """End this process if what is done inside takes longer.

        What it leaves free goes back to the system.
        """
        mine = object()
        self._change(mine, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._change(mine, None)
            FREE_MEMORY.give_back()

    def _change(self, mine: object, deadline: float | None) -> None:
        with self._lock:
            if deadline is None:
                del self._deadlines[mine]
            else:
                self._deadlines[mine] = deadline
            if not self._deadlines:
                faulthandler.cancel_dump_traceback_later()
                return
            left = max(0.001, min(self._deadlines.values()) - time.monotonic())
            faulthandler.dump_traceback_later(
                min(left, sys.maxsize // 10**9), exit=True, file=_STANDARD_ERROR
            )


WATCHDOG: Final = Watchdog()
"""The one of this process."""
