"""Committing what workers give back while they work on: in a thread, many results at once.

A commit is one file of the catalog and one of its log, whatever it holds. With few results each is
committed by itself; where they come faster than commits are made, those that wait share the next.
"""

from __future__ import annotations

import time
from collections import deque
from contextvars import copy_context
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Result = TypeVar("Result")

REST: Final = 4.0
"""Between two commits as many times the first one's duration pass, so that a driver spends at most
a fifth of its time on them. What a killed run has to do again grows by as much."""

GROUP_ROWS: Final = 4096
"""So many rows are committed without a rest, and no more together: 15 MB with their metadata."""


def in_groups(
    results: Iterable[Result],
    commit: Callable[[Sequence[Result]], object],
    *,
    rows: Callable[[Result], int],
) -> Iterator[Result]:
    """Commit results as they come, and give back those that are committed.

    The next result is asked for without waiting for a commit, so that workers are given their next
    jobs. If asking fails, what came before is still committed; if the program is told to end, only
    a commit that has begun is made.

    Args:
        results: From workers. All that wait are held: rows, not pictures.
        commit: Commits several results, all of them or none.
        rows: How many rows a result has.

    Raises:
        Exception: What `commit` raised, the results behind it being dropped; or what `results` did.
    """
    committer = Committer(commit, rows)
    try:
        for result in results:
            committer.put(result)
            yield from committer.committed()
        committer.close()
    except Exception:
        committer.close()
        raise
    except BaseException:
        committer.close(in_haste=True)
        raise
    yield from committer.committed()


class Committer(Generic[Result]):
    """A thread that commits what it is given."""

    def __init__(
        self, commit: Callable[[Sequence[Result]], object], rows: Callable[[Result], int]
    ) -> None:
        """Start it; see `in_groups`."""
        self._commit, self._rows = commit, rows
        self._waiting: deque[Result] = deque()
        self._done: deque[Result] = deque()
        self._failure: BaseException | None = None
        self._closed = False
        self._changed = Condition()
        context = copy_context()
        self._thread = Thread(target=context.run, args=(self._work,), daemon=True)
        self._thread.start()

    def put(self, result: Result) -> None:
        """Have a result committed, without waiting for it."""
        with self._changed:
            self._waiting.append(result)
            self._changed.notify_all()

    def committed(self) -> Iterator[Result]:
        """What was committed since this was last asked.

        Raises:
            Exception: What the commit of the next one raised.
        """
        while True:
            with self._changed:
                if not self._done:
                    if self._failure is not None:
                        raise self._failure
                    return
                result = self._done.popleft()
            yield result

    def close(self, *, in_haste: bool = False) -> None:
        """Wait until all is committed, or a commit failed.

        Args:
            in_haste: Only wait for a commit that has begun; what waits is dropped.
        """
        with self._changed:
            self._closed = True
            if in_haste:
                self._waiting.clear()
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        rested = 0.0
        while group := self._next(rested):
            began = time.monotonic()
            try:
                self._commit(group)
            except BaseException as error:  # noqa: BLE001 - raised where the results are asked for
                self._failure = error
                return
            with self._changed:
                self._done.extend(group)
            ended = time.monotonic()
            rested = ended + REST * (ended - began)

    def _next(self, rested: float) -> list[Result]:
        """What is to be committed next, when it is time; nothing at the end."""
        with self._changed:
            while not self._closed:
                left = rested - time.monotonic()
                count = sum(self._rows(result) for result in self._waiting)
                if self._waiting and (left <= 0 or count >= GROUP_ROWS):
                    break
                self._changed.wait(left if self._waiting else None)
            group: list[Result] = []
            count = 0
            while self._waiting and (
                not group or count + self._rows(self._waiting[0]) <= GROUP_ROWS
            ):
                group.append(self._waiting.popleft())
                count += self._rows(group[-1])
            return group
