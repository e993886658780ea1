"""What a step needs of the workers it gives jobs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from tasks.cluster.pool import Lost

Job = TypeVar("Job", contravariant=True)
Result = TypeVar("Result", covariant=True)


class Workers(Protocol[Job, Result]):
    """Takes jobs and gives back results: a `WorkerPool`, or whatever stands in for one."""

    def run(self, jobs: Iterable[Job]) -> Iterator[Result | Lost]:
        """Yield a result for each job, in the order they are finished.

        Raises:
            Exception: What a worker's method raised; see `WorkerPool.run`.
        """
        ...
