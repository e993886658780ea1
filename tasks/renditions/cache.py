"""What was made before, as long as it fits into memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Any, Final, TypeVar, cast

from cachetools import LRUCache

Made = TypeVar("Made")

_OVERHEAD: Final = 512
"""Bytes that are counted for each entry beside its own."""


class ByteCache:
    """Keeps what was asked for last, up to a number of bytes; safe to use from several threads.

    What two threads ask for at once is made once, and the second waits for the first.
    """

    def __init__(self, max_bytes: int) -> None:
        """Say how much fits.

        Args:
            max_bytes: Of all entries together. What is larger than all of it is made each time.
        """
        self._kept: LRUCache[Hashable, Any] = LRUCache(max(1, max_bytes), getsizeof=_size)
        self._making: dict[Hashable, Future[Any]] = {}
        self._lock = Lock()
        self.hits = 0
        """Times that something was there, or was being made."""
        self.misses = 0
        """Times that something was made."""

    @property
    def nbytes(self) -> int:
        """Bytes that the entries take."""
        with self._lock:
            return int(self._kept.currsize)

    def kept(self, key: Hashable) -> Any | None:
        """What is kept under a key; None if nothing is, or it is only being made."""
        with self._lock:
            found = self._kept.get(key)
            self.hits += found is not None
            return found

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What is kept under a key, else what `make` gives; what it raises is raised."""
        with self._lock:
            if key in self._kept:
                self.hits += 1
                return cast("Made", self._kept[key])
            running = self._making.get(key)
            if running is None:
                mine: Future[Any] = Future()
                self._making[key] = mine
                self.misses += 1
            else:
                self.hits += 1
        if running is not None:
            return cast("Made", running.result())
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            if _size(made) <= self._kept.maxsize:
                self._kept[key] = made
        mine.set_result(made)
        return made


def _size(made: Any) -> int:
    own = len(made) if isinstance(made, bytes) else int(getattr(made, "nbytes", 0))
    return own + _OVERHEAD
