"""Gives memory that is free back to the system, which malloc would keep.

Pictures are of all sizes, so are the arrays that a worker frees, and what is taken next seldom fits
where they lay. With glibc's malloc, which has several such heaps for threads, a worker's memory
grows for hundreds of pictures; given back, it stays at what the largest ones need.
"""

from __future__ import annotations

import ctypes
import time
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY: Final = 1.0
"""Seconds between two times, at least. It takes some 5 ms beside pictures of a megapixel."""


class FreeMemory:
    """The free memory of this process."""

    def __init__(
        self, trim: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is given back yet.

        Args:
            trim: Gives all of it back.
            clock: Seconds.
        """
        self._trim, self._clock = trim, clock
        self._lock = Lock()
        self._last = clock()

    def give_back(self) -> None:
        """Give it back, unless that was done within the last second; threads may call it."""
        with self._lock:
            now = self._clock()
            if now - self._last < EVERY:
                return
            self._last = now
        self._trim()


def _trim_of_malloc() -> Callable[[], object]:
    """What glibc has for it; nothing where it is not the C library."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda: None
    return lambda: trim(0)


FREE_MEMORY: Final = FreeMemory(_trim_of_malloc())
"""That of this process."""
