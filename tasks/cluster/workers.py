"""What a step needs of the workers it gives jobs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from rescaling_core.errors import RefoldError

Item = TypeVar("Item")
Job = TypeVar("Job", contravariant=True)
Result = TypeVar("Result", covariant=True)


class WorkerStartError(RefoldError):
    """A worker's constructor failed, wherever it was placed."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A job whose worker died, and whose next worker died as well."""

    job: Any
    reason: str


class Workers(Protocol[Job, Result]):
    """Takes jobs and gives back results: actors of Ray, or a few processes of this machine."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Result | Lost]:
        """Yield a result for each job, in the order they are finished.

        A job whose worker dies is tried once more by another; if that one dies too, the job comes
        back as `Lost` and the others go on.

        Raises:
            Exception: What a worker's method raised, as it was. Methods return what is wrong with
                a job as a value, so this is a store that failed, or a bug.
        """
        ...

    def close(self, *, in_haste: bool = False) -> None:
        """End the workers; what they had not finished is lost.

        Args:
            in_haste: Do not wait to hear what they sent.
        """
        ...


class Waiting(Generic[Item]):
    """Jobs that wait for a worker. Those whose worker died go first, and are tried once more."""

    def __init__(self, jobs: Iterable[Item]) -> None:
        """None is taken before a worker is free for it."""
        self._fresh = iter(jobs)
        self._again: list[Item] = []
        self._exhausted = False

    def take(self) -> tuple[Item, bool] | None:
        """The next job, and whether a worker has died of it before; None if none waits now."""
        if self._again:
            return self._again.pop(), True
        try:
            return next(self._fresh), False
        except StopIteration:
            self._exhausted = True
            return None

    def put_back(self, job: Item) -> None:
        """Have a job tried again."""
        self._again.append(job)

    @property
    def is_over(self) -> bool:
        """Whether all jobs have been taken."""
        return self._exhausted and not self._again


@contextmanager
def closing(pool: Workers[Any, Any]) -> Iterator[Workers[Any, Any]]:
    """Close a pool at the end, in haste where a signal is what ends it."""
    try:
        yield pool
    except BaseException as error:
        pool.close(in_haste=not isinstance(error, Exception))
        raise
    else:
        pool.close()


def why_lost(why: str, seconds: float, patience: float) -> str:
    """Why a job is given up whose worker died, and whose next worker died as well.

    Args:
        why: What the second one died of.
        seconds: How long the second one had worked on it.
        patience: After how many seconds a worker is taken to have been ended by its watchdog.
    """
    if seconds >= patience:
        return f"it took longer than it may: its worker was ended after {seconds:.0f} s, twice"
    return f"its worker died twice: {why}"
