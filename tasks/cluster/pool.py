"""Workers as actors of Ray. Nothing else starts, stops or counts them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError

from tasks.cluster.deaths import why_died
from tasks.cluster.slots import WorkerSlots
from tasks.cluster.watchdog import allowed_seconds
from tasks.cluster.workers import Lost, Waiting, Workers, WorkerStartError, closing, why_lost
from tasks.settings import for_workers
from tasks.storage import accounting as requests

Job = TypeVar("Job")
Result = TypeVar("Result")

PATIENCE_WITH_COUNTS = 5.0
"""Seconds to wait for the request counts of a worker that is stopping."""


class WorkerPool(Generic[Job, Result]):
    """Actors of one class that take jobs as they become free.

    Ray places and restarts them, and where the slots allow more, starts those as room appears.

    Ray's own retries are not used: it would wait for the same worker, which never comes back where
    its node is gone, and would count a try for each time that the worker cannot be reached.
    """

    def __init__(
        self,
        worker: Callable[..., Any],
        method: str,
        arguments: tuple[Any, ...],
        slots: WorkerSlots,
    ) -> None:
        self._patience = allowed_seconds(0)
        """Seconds after which a worker that died is taken to have been ended by its watchdog."""
        self._why = "none was started"
        """What the last worker died of."""
        remote: Any = ray.remote(worker).options(
            num_cpus=slots.cpus,
            num_gpus=slots.gpus,
            max_restarts=-1,
            max_task_retries=0,
            runtime_env={"env_vars": dict(told)} if (told := for_workers()) else None,
        )
        self._method = method
        self._arriving: dict[Any, Any] = {}
        """Workers that are starting, for the first time or again, by what they answer when
        they are ready."""
        self._there: list[Any] = []
        self._idle: list[Any] = []
        """Of those that are there. One list, since a run may be begun within another."""
        for _ in range(slots.most):
            self._call(remote.remote(*arguments))
        references = list(self._arriving)
        arrived, _ = ray.wait(references, num_returns=slots.count, timeout=PATIENCE_AT_THE_START)
        failure = self._welcome(arrived)
        while not self._there and not failure:
            failure = self._welcome(ray.wait(list(self._arriving), num_returns=1)[0])
        if not self._there:  # before any job is blamed for it
            self.close()
            raise WorkerStartError(f"a worker cannot start: {failure}")

    def run(self, jobs: Iterable[Job]) -> Iterator[Result | Lost]:
        """See `Workers.run`."""
        waiting = Waiting(jobs)
        running: dict[Any, tuple[Any, Job, bool, float]] = {}
        try:
            while True:
                while self._idle and (taken := waiting.take()) is not None:
                    job, tried = taken
                    actor = self._idle.pop()
                    running[getattr(actor, self._method).remote(job)] = (
                        actor,
                        job,
                        tried,
                        time.monotonic(),
                    )
                if waiting.is_over and not running:
                    return
                if not running and not self._arriving:
                    raise WorkerStartError(f"no worker is left: {self._why}")
                ended, _ = ray.wait([*running, *self._arriving], num_returns=1)
                self._welcome(reference for reference in ended if reference in self._arriving)
                for done in [reference for reference in ended if reference in running]:
                    actor, job, tried, since = running.pop(done)
                    try:
                        result: Result | Lost = ray.get(done)
                    except RayTaskError as error:
                        self._idle.append(actor)
                        raise error.cause from error
                    except RayError as error:
                        self._mistrust(actor)
                        self._why = why_died(error)
                        if not tried:
                            waiting.put_back(job)
                            continue
                        seconds = time.monotonic() - since
                        result = Lost(job, why_lost(self._why, seconds, self._patience))
                    else:
                        self._idle.append(actor)
                    yield result
        finally:
            # Given up by an error, their jobs go on; what they get next waits for that.
            self._idle += [actor for actor, *_ in running.values()]

    def close(self, *, in_haste: bool = False) -> None:
        """End the actors; what they had not finished is lost.

        Args:
            in_haste: Do not wait to hear what they sent.
        """
        if not in_haste:
            _take_counts(self._there)
        for actor in (*self._there, *self._arriving.values()):
            ray.kill(actor)

    def _call(self, actor: Any) -> None:
        """Expect a worker that is starting, or that Ray is to start again."""
        self._arriving[actor.__ray_call__.remote(_here)] = actor

    def _mistrust(self, dead: Any) -> None:
        """Its node may be gone, and others with it: give nobody a job who has not answered since.

        Or a job would be blamed for workers that never began it.
        """
        for actor in (dead, *self._idle):
            self._there.remove(actor)
            self._call(actor)
        self._idle.clear()

    def _welcome(self, arrived: Iterable[Any]) -> str | None:
        """Take up workers that have started; return what the last one failed by, if any did.

        The others do without it: its node may lack what theirs have.
        """
        failure = None
        for reference in arrived:
            actor = self._arriving.pop(reference)
            try:
                ray.get(reference)
            except ActorUnavailableError:  # it died, and Ray has yet to notice
                self._call(actor)
            except RayActorError as error:
                failure = self._why = why_died(error)
                logging.getLogger(__name__).warning("a worker cannot start: %s", failure)
                ray.kill(actor)
            else:
                self._there.append(actor)
                self._idle.append(actor)
        return failure


def worker_pool(
    worker: Callable[..., Any],
    method: str,
    arguments: tuple[Any, ...],
    slots: WorkerSlots,
) -> AbstractContextManager[Workers[Any, Any]]:
    """A `WorkerPool` that is closed at the end."""
    return closing(WorkerPool(worker, method, arguments, slots))


def _here(_worker: object) -> None:
    """What a worker is asked to see that it is there."""


def _take_counts(actors: list[Any]) -> None:
    """Count the requests that workers sent as this process's; a lost one takes its count along."""
    counts = [actor.__ray_call__.remote(_taken) for actor in actors]
    if not counts:
        return
    done, _ = ray.wait(counts, num_returns=len(counts), timeout=PATIENCE_WITH_COUNTS)
    for reference in done:
        with suppress(RayActorError):
            requests.add(ray.get(reference))


def _taken(_: object) -> dict[str, int]:
    return requests.drain()


PATIENCE_AT_THE_START = 30.0
"""Seconds until a run begins with the workers it has: on a cluster of odd nodes, not all that fit
by their number find room."""
