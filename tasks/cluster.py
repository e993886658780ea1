"""The Ray session and the actors in it. Nothing else starts, stops or counts them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import RayActorError, RayTaskError

from rescaling_core.errors import RefoldError
from tasks.slots import WorkerSlots
from tasks.storage import requests

Job = TypeVar("Job")
Result = TypeVar("Result")

PATIENCE_WITH_COUNTS = 5.0
"""Seconds that a worker, when it is to end, may take to say what it sent."""

LOOK_EVERY = 2.0
"""Seconds between looks at the nodes while jobs run."""

PATIENCE = 30.0
"""Seconds that a worker of a dead node may take to come back elsewhere before an idle one takes
over its job. On a cluster without room for it, it never comes back."""

PATIENCE_AT_THE_START = 30.0
"""Seconds until a run begins with the workers it has: on a cluster of odd nodes, not all that fit
by their number find room."""

RETRIES_OF_A_LOST_JOB = 1
"""A job whose worker died is tried once more before the job itself is blamed."""


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
        # Not None: that would join whatever cluster someone left running on this machine.
        address=os.environ.get("RAY_ADDRESS", "local"),
        include_dashboard=False if "RAY_ADDRESS" not in os.environ else None,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        yield
    finally:
        ray.shutdown()


class WorkerPool(Generic[Job, Result]):
    """Actors of one class that take jobs as they become free.

    Ray places and restarts them, and where the slots allow more, starts those as room appears. A
    job whose worker dies is tried again by Ray; if the worker dies once more, the job comes back as
    `Lost` and the others go on.
    """

    def __init__(
        self,
        worker: type,
        method: str,
        arguments: tuple[Any, ...],
        slots: WorkerSlots,
        *,
        patience: float = PATIENCE,
    ) -> None:
        remote: Any = ray.remote(worker).options(
            num_cpus=slots.cpus,
            num_gpus=slots.gpus,
            max_restarts=-1,
            max_task_retries=RETRIES_OF_A_LOST_JOB,
        )
        self._method, self._patience = method, patience
        actors = [remote.remote(*arguments) for _ in range(slots.most)]
        self._arriving = {actor.__ray_call__.remote(_node_of): actor for actor in actors}
        self._nodes: dict[Any, str] = {}
        """The workers that are there, and where they were at the start."""
        self._idle: list[Any] = []
        """Of them, those without a job. One list, since a run may be begun within another."""
        references = list(self._arriving)
        arrived, _ = ray.wait(references, num_returns=slots.count, timeout=PATIENCE_AT_THE_START)
        failure = self._welcome(arrived or ray.wait(references, num_returns=1)[0])
        if not self._nodes:  # before any job is blamed for it
            self.close()
            raise WorkerStartError(f"a worker cannot start: {failure}")

    def run(self, jobs: Iterable[Job]) -> Iterator[Result | Lost]:
        """Yield a result for each job, in the order they are finished.

        Raises:
            Exception: What a worker's method raised, as it was. Methods return what is wrong with
                a job as a value, so this is a store that failed, or a bug.
        """
        waiting = iter(jobs)
        running: dict[Any, tuple[Any, Job]] = {}
        stranded: list[Job] = []
        dead_since: dict[str, float] = {}
        exhausted = False
        try:
            while True:
                while self._idle and (stranded or not exhausted):
                    try:
                        job = stranded.pop() if stranded else next(waiting)
                    except StopIteration:
                        exhausted = True
                        break
                    actor = self._idle.pop()
                    running[getattr(actor, self._method).remote(job)] = (actor, job)
                if exhausted and not stranded and not running:
                    return
                if not running and not self._arriving:
                    raise WorkerStartError("no worker is left")
                ended, _ = ray.wait([*running, *self._arriving], num_returns=1, timeout=LOOK_EVERY)
                finished = [reference for reference in ended if reference in running]
                self._welcome(reference for reference in ended if reference in self._arriving)
                for done in finished:
                    actor, job = running.pop(done)
                    self._idle.append(actor)
                    yield self._result(done, job)
                if self._idle and not finished:
                    stranded += self._give_up(running, dead_since)
        finally:
            # Given up by an error, their jobs go on; what they get next waits for that.
            self._idle += [actor for actor, _ in running.values() if actor in self._nodes]

    def _give_up(
        self, running: dict[Any, tuple[Any, Job]], dead_since: dict[str, float]
    ) -> list[Job]:
        """End the workers whose nodes have long been dead; return the jobs they had."""
        now = time.monotonic()
        alive = {node["NodeID"] for node in _nodes() if node["Alive"]}
        jobs: list[Job] = []
        for reference, (actor, job) in list(running.items()):
            node = self._nodes.get(actor, "")
            if node in alive or now - dead_since.setdefault(node, now) < self._patience:
                continue
            del running[reference]
            self._nodes.pop(actor, None)
            ray.kill(actor)
            jobs.append(job)
        return jobs

    def close(self) -> None:
        """End the actors; what they had not finished is lost."""
        _take_counts(list(self._nodes))
        for actor in (*self._nodes, *self._arriving.values()):
            ray.kill(actor)

    def _welcome(self, arrived: Iterable[Any]) -> str | None:
        """Take up workers that have started; return what the last one failed by, if any did.

        The others do without it: its node may lack what theirs have.
        """
        failure = None
        for reference in arrived:
            actor = self._arriving.pop(reference)
            try:
                self._nodes[actor] = ray.get(reference)
            except RayActorError as error:
                failure = str(error).strip().splitlines()[-1]
                logging.getLogger(__name__).warning("a worker cannot start: %s", failure)
                ray.kill(actor)
            else:
                self._idle.append(actor)
        return failure

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
    worker: Callable[..., Any],
    method: str,
    arguments: tuple[Any, ...],
    slots: WorkerSlots,
    *,
    patience: float = PATIENCE,
) -> Iterator[WorkerPool[Any, Any]]:
    """A `WorkerPool` that is closed at the end."""
    pool: WorkerPool[Any, Any] = WorkerPool(
        worker,  # type: ignore[arg-type]
        method,
        arguments,
        slots,
        patience=patience,
    )
    try:
        yield pool
    finally:
        pool.close()


def _nodes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return found


def _node_of(_worker: object) -> str:
    """Of the worker that this is called in."""
    node: str = ray.get_runtime_context().get_node_id()
    return node


def _take_counts(actors: list[Any]) -> None:
    """Count the requests that workers sent as this process's; a lost one takes its count along."""
    counts = [actor.__ray_call__.remote(_taken) for actor in actors]
    if not counts:
        return
    done, _ = ray.wait(counts, num_returns=len(counts), timeout=PATIENCE_WITH_COUNTS)
    for reference in done:
        with suppress(RayActorError):
            requests.give_back(ray.get(reference))


def _taken(_: object) -> dict[str, int]:
    return requests.taken()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
