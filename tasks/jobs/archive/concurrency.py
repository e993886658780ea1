"""What may happen at once inside a worker: how many photos, of how many pixels, on one network."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Condition, Lock
from types import TracebackType
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def at_once(function: Callable[[Item], Result], items: Iterable[Item], count: int) -> list[Result]:
    """The results of all items, in their order, worked on by `count` threads.

    No item is taken before a thread is free for it, so that what makes the items is held back by
    what becomes of them.

    Raises:
        Exception: What the function raised, once those under way have ended; no more are begun.
    """
    all_of_them: list[Future[Result]] = []
    running: set[Future[Result]] = set()
    with ThreadPoolExecutor(max_workers=count) as pool:
        for item in items:
            all_of_them.append(pool.submit(function, item))
            running.add(all_of_them[-1])
            if len(running) == count:
                _, running = wait(running, return_when=FIRST_COMPLETED)
                for future in all_of_them:
                    if future.done():
                        future.result()
    return [future.result() for future in all_of_them]


class Headroom:
    """A number of pixels that photos under way may have together.

    Args:
        pixels: As many; a photo that has more goes alone.
    """

    def __init__(self, pixels: int) -> None:
        self._all = self._left = pixels
        self._changed = Condition()
        self._line: deque[object] = deque()
        """Who waits, first come first served: small photos would else pass a large one for ever."""

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for so many, and hold it."""
        share, place = min(pixels, self._all), object()
        with self._changed:
            self._line.append(place)
            self._changed.wait_for(lambda: self._line[0] is place and self._left >= share)
            self._line.popleft()
            self._left -= share
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._left += share
                self._changed.notify_all()


class LaneMetrics(Protocol):
    """Who is told how the lane is used."""

    def network_waiting(self, count: int) -> None:
        """How many photos wait for the network, or are on it."""

    def network_busy(self, seconds: float) -> None:
        """How long it was used by one of them."""


class NetworkLane:
    """Lets one photo of a worker onto its network at a time.

    Two would share the device, and need twice the memory, to be finished no sooner.
    """

    def __init__(self, metrics: LaneMetrics) -> None:
        self._metrics = metrics
        self._free = Lock()
        self._counting = Lock()
        self._count = 0
        self._since = 0.0
        self._own = threading.local()

    def waited(self) -> float:
        """Seconds that the calling thread has waited for its turns, all told."""
        seconds: float = getattr(self._own, "waited", 0.0)
        return seconds

    def __enter__(self) -> None:
        self._changed_by(1)
        came = time.monotonic()
        self._free.acquire()
        self._since = time.monotonic()
        self._own.waited = self.waited() + self._since - came

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        busy = time.monotonic() - self._since
        self._free.release()
        self._metrics.network_busy(busy)
        self._changed_by(-1)

    def _changed_by(self, step: int) -> None:
        with self._counting:
            self._count += step
            self._metrics.network_waiting(self._count)
