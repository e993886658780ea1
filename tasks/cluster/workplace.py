"""Where the workers of a run are: on Ray, or in a few processes of this machine.

A local Ray takes longer to start than a handful of pictures takes to convert, so small runs do
without. Nothing else differs: the same workers are given the same jobs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.cluster.slots import WorkerSlots, process_slots, worker_slots
from tasks.cluster.workers import Workers, closing
from tasks.settings import current

if TYPE_CHECKING:
    from tasks.cluster.encoders import Encoders


JOBS_PER_PROCESS = 4
"""A process takes three seconds of CPU time to import what it works with."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where workers can be started, and how many."""

    slots: WorkerSlots
    on_ray: bool
    encoding: int = 0
    """CPUs that are set aside for encoding."""

    def pool(
        self, worker: Callable[..., Any], method: str, arguments: tuple[Any, ...], *, jobs: int
    ) -> AbstractContextManager[Workers[Any, Any]]:
        """Workers for so many jobs, ended when the context is left.

        Args:
            worker: Their class.
            method: Its method that does a job.
            arguments: Of its constructor.
            jobs: How many there are; no more workers are started.

        Raises:
            WorkerStartError: None of them can start.
        """
        if self.on_ray:
            from tasks.cluster.pool import worker_pool

            return worker_pool(worker, method, arguments, self.slots.at_most(jobs))
        from tasks.cluster.processes import ProcessPool

        slots = self.slots.at_most(-(-jobs // JOBS_PER_PROCESS))
        return closing(ProcessPool(worker, method, arguments, slots))

    @contextmanager
    def encoders(self) -> Iterator[Encoders | None]:
        """Hold the CPUs that are set aside for encoding, before workers take them."""
        if not self.encoding:
            yield None
            return
        from tasks.cluster.encoders import encoders_of

        with encoders_of(self.encoding) as encoders:
            yield encoders


@contextmanager
def workplace(sources: int, *, encoding: int = 0) -> Iterator[Workplace]:
    """Where a run of so many sources works, for the time being.

    Args:
        sources: How many there are to work on.
        encoding: CPUs of a cluster to set aside for encoding.

    Raises:
        ClusterStartError: A local Ray does not start.
        UsageError: A setting has a value it cannot have, or leaves no CPU for a worker.
    """
    if not encoding and is_small(sources):
        yield Workplace(process_slots(), on_ray=False)
        return
    from tasks.cluster.session import ray_session

    with ray_session():
        # Before their CPUs are asked for: more encoders than there is room for are refused here.
        yield Workplace(worker_slots(encoders=encoding), on_ray=True, encoding=encoding)


def is_small(sources: int) -> bool:
    """Whether a run of so many sources does without Ray."""
    return (
        sources <= current().small_run
        and not os.environ.get("RAY_ADDRESS")
        and not _is_in_ray()
        and not _has_gpu()
    )


def _is_in_ray() -> bool:
    """Whether this process is part of a Ray cluster already."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _has_gpu() -> bool:
    """Whether this machine has a GPU, which Ray knows how to share."""
    return any(Path("/dev").glob("nvidia[0-9]*"))
