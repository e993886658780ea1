"""What takes a processor runs in a bounded pool of threads, and what does not fit is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from math import ceil
from threading import Lock, Semaphore
from time import monotonic
from typing import Any, Final, TypeVar

Made = TypeVar("Made")

_REMEMBERED: Final = 8
"""Calls over which their time is averaged."""
_LONGEST: Final = 30
"""Seconds that somebody is told to wait, at most."""


class Full(Exception):  # noqa: N818 - it says how the pool is, as queue.Full does
    """As many requests are under way, and wait, as may."""

    def __init__(self, seconds: int = 1) -> None:
        """Say when to come again.

        Args:
            seconds: From now on.
        """
        super().__init__()
        self.seconds = seconds


class Work:
    """A pool of threads with a limit on what may wait for it."""

    def __init__(self, threads: int, waiting: int, seconds: float) -> None:
        """Start nothing yet.

        Args:
            threads: Calls that run at once.
            waiting: Calls that may wait.
            seconds: For which a caller waits. The call itself goes on until it ends, and keeps
                its place as long.
        """
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="restore")
        self._room, self._seconds = threads + waiting, seconds
        self._lock = Lock()
        self._threads, self._under_way = threads, 0
        self._each = 0.0
        """Seconds that a call took lately."""

    async def do(self, call: Callable[..., Made], *arguments: Any) -> Made:
        """Call a function in a thread of the pool.

        Raises:
            Full: There is no room for it, or it was not begun in time.
            TimeoutError: It was begun, and took too long.
        """
        with self._lock:
            if self._under_way >= self._room:
                raise self._full()
            self._under_way += 1
        try:
            future = self._pool.submit(self._timed, call, *arguments)
        except RuntimeError as error:  # the service is ending
            self._done(None)
            raise self._full() from error
        future.add_done_callback(self._done)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except TimeoutError:
            if future.cancelled():  # it only waited: there is too much to do, and nothing is wrong
                raise self._full() from None
            raise

    def close(self) -> None:
        """Drop what waits; what runs comes to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _timed(self, call: Callable[..., Made], *arguments: Any) -> Made:
        begun = monotonic()
        try:
            return call(*arguments)
        finally:
            took = monotonic() - begun
            self._each += (took - self._each) / _REMEMBERED

    def _full(self) -> Full:
        """Once half of what is under way will be done, there is room again for some."""
        seconds = ceil(self._under_way * self._each / self._threads / 2)
        return Full(max(1, min(seconds, _LONGEST)))

    def _done(self, _: Future[Any] | None) -> None:
        with self._lock:
            self._under_way -= 1


class Places:
    """A number of places; who finds none is refused."""

    def __init__(self, count: int) -> None:
        """All are free.

        Args:
            count: How many there are.
        """
        self._free = Semaphore(count)

    def __enter__(self) -> None:
        """Take one.

        Raises:
            Full: There is none.
        """
        if not self._free.acquire(blocking=False):
            raise Full

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._free.release()
