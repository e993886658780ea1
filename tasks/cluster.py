"""The Ray session and the actors in it. Nothing else starts, stops or counts them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import ActorDiedError, RayActorError, RayTaskError

from rescaling_core.errors import RefoldError

Job = TypeVar("Job")
Result = TypeVar("Result")

RETRIES_OF_A_LOST_JOB = 1
"""A job whose worker died is tried once more before the job itself is blamed."""


@dataclass(frozen=True, slots=True)
class WorkerSlots:
    """How the cluster is divided among workers."""

    count: int
    cpus: float
    """Of one worker."""
    gpus: float
    """Of one worker; below 1, workers share a device."""

    def at_most(self, count: int) -> WorkerSlots:
        """The same workers, but no more than there are jobs for."""
        return replace(self, count=max(1, min(self.count, count)))


class WorkerStartError(RefoldError):
    """A worker's constructor failed, wherever Ray had placed it."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A job that killed its worker more than once."""

    job: Any
    reason: str


@contextmanager
def ray_session() -> Iterator[None]:
    """Use the running Ray, the one `RAY_ADDRESS` names, or a local one for the time being.

    Only what was started here is shut down.
    """
    if ray.is_initialized():
        yield
        return
    ray.init(
        address=os.environ.get("RAY_ADDRESS"),
        include_dashboard=False if "RAY_ADDRESS" not in os.environ else None,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        yield
    finally:
        ray.shutdown()


def worker_slots(*, cpus_per_worker: float = 1, gpus_per_worker: float = 1) -> WorkerSlots:
    """Divide what the cluster has: one worker a GPU where there are GPUs, else one a CPU slice.

    Args:
        cpus_per_worker: CPUs, where there is no GPU.
        gpus_per_worker: GPUs, whole or a fraction, where there are any.
    """
    resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus, gpus = resources.get("CPU", 1), resources.get("GPU", 0)
    if gpus:
        count = max(1, int(gpus / gpus_per_worker))
        return WorkerSlots(count, max(1, cpus // count), gpus_per_worker)
    return WorkerSlots(max(1, int(cpus / cpus_per_worker)), min(cpus, cpus_per_worker), 0)


class WorkerPool(Generic[Job, Result]):
    """Actors of one class that take jobs as they become free.

    Ray places and restarts them. A job whose worker dies is tried again by Ray; if the worker
    dies once more, the job comes back as `Lost` and the others go on.
    """

    def __init__(
        self, worker: type, method: str, arguments: tuple[Any, ...], slots: WorkerSlots
    ) -> None:
        remote: Any = ray.remote(worker).options(
            num_cpus=slots.cpus,
            num_gpus=slots.gpus,
            max_restarts=-1,
            max_task_retries=RETRIES_OF_A_LOST_JOB,
        )
        self._method = method
        self._actors = [remote.remote(*arguments) for _ in range(slots.count)]
        self._wait_until_ready()

    def run(self, jobs: Iterable[Job]) -> Iterator[Result | Lost]:
        """Yield a result for each job, in the order they are finished.

        Raises:
            Exception: What a worker's method raised, as it was. Methods return what is wrong with
                a job as a value, so this is a store that failed, or a bug.
        """
        waiting = iter(jobs)
        idle = list(self._actors)
        running: dict[Any, tuple[Any, Job]] = {}
        exhausted = False
        while True:
            while idle and not exhausted:
                try:
                    job = next(waiting)
                except StopIteration:
                    exhausted = True
                    break
                actor = idle.pop()
                running[getattr(actor, self._method).remote(job)] = (actor, job)
            if not running:
                return
            (done, *_), _ = ray.wait(list(running), num_returns=1)
            actor, job = running.pop(done)
            idle.append(actor)
            yield self._result(done, job)

    def close(self) -> None:
        """End the actors; what they had not finished is lost."""
        for actor in self._actors:
            ray.kill(actor)

    def _wait_until_ready(self) -> None:
        """Say what a worker's constructor raised, so that no job is blamed for it."""
        try:
            ray.get([actor.__ray_ready__.remote() for actor in self._actors])
        except ActorDiedError as error:
            self.close()
            cause = str(error).strip().splitlines()[-1]
            raise WorkerStartError(f"a worker cannot start: {cause}") from error

    @staticmethod
    def _result(reference: Any, job: Job) -> Result | Lost:
        try:
            result: Result = ray.get(reference)
        except RayTaskError as error:
            raise error.cause from error
        except RayActorError as error:
            return Lost(job, f"its worker died more than once: {_first_line(error)}")
        return result


@contextmanager
def worker_pool(
    worker: Callable[..., Any], method: str, arguments: tuple[Any, ...], slots: WorkerSlots
) -> Iterator[WorkerPool[Any, Any]]:
    """A `WorkerPool` that is closed at the end."""
    pool: WorkerPool[Any, Any] = WorkerPool(worker, method, arguments, slots)  # type: ignore[arg-type]
    try:
        yield pool
    finally:
        pool.close()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
