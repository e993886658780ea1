"""A few worker processes of this machine, for runs that are not worth a cluster.

They keep the promises of the pool on Ray: a job whose process dies or hangs ends that process and
nothing else, is tried once more, and is then given up by name.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Generic, TypeVar

import psutil

from tasks.cluster.slots import WorkerSlots
from tasks.cluster.watchdog import allowed_seconds
from tasks.cluster.workers import Lost, Waiting, WorkerStartError, why_lost
from tasks.settings import for_workers
from tasks.storage import accounting as requests

Job = TypeVar("Job")
Result = TypeVar("Result")

PATIENCE_WITH_COUNTS = 5.0
"""Seconds to wait for the request counts of a worker that is stopping."""


class ProcessPool(Generic[Job, Result]):
    """Processes, each with one worker of a class, that take jobs as they become free."""

    def __init__(
        self,
        worker: Callable[..., Any],
        method: str,
        arguments: tuple[Any, ...],
        slots: WorkerSlots,
    ) -> None:
        """Start the processes.

        Raises:
            WorkerStartError: The worker's constructor failed.
        """
        self._patience = allowed_seconds(0)
        variables = {"OMP_NUM_THREADS": str(max(1, int(slots.cpus)))} | dict(for_workers())
        self._start = partial(_Process, partial(worker, *arguments), method, variables)
        self._idle = [self._start() for _ in range(slots.count)]
        try:
            for process in self._idle:
                process.wait_until_ready()
        except WorkerStartError:
            self.close(in_haste=True)
            raise

    def run(self, jobs: Iterable[Job]) -> Iterator[Result | Lost]:
        """See `Workers.run`."""
        waiting = Waiting(jobs)
        running: dict[Future[Result], _Turn[Job]] = {}
        try:
            while True:
                while self._idle and (taken := waiting.take()) is not None:
                    job, tried = taken
                    process = self._idle.pop()
                    running[process.submit(job)] = _Turn(process, job, tried, time.monotonic())
                if not running:
                    if waiting.is_over:
                        return
                    raise WorkerStartError("no worker is left")
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    turn = running.pop(future)
                    try:
                        result: Result | Lost = future.result()
                    except BrokenProcessPool:
                        self._replace()
                        if not turn.tried:
                            waiting.put_back(turn.job)
                            continue
                        seconds = time.monotonic() - turn.since
                        why = why_lost("its process ended", seconds, self._patience)
                        result = Lost(turn.job, why)
                    except BaseException:
                        self._idle.append(turn.process)
                        raise
                    else:
                        self._idle.append(turn.process)
                    yield result
        finally:
            # Given up by an error, their jobs go on; what they get next waits for that.
            self._idle += [turn.process for turn in running.values()]

    def _replace(self) -> None:
        """Start a process in place of one that died.

        Raises:
            WorkerStartError: It cannot start.
        """
        process = self._start()
        self._idle.append(process)
        process.wait_until_ready()

    def close(self, *, in_haste: bool = False) -> None:
        """End the processes; what they had not finished is lost.

        Args:
            in_haste: Do not wait to hear what they sent.
        """
        for process in self._idle:
            process.end(in_haste=in_haste)


class _Process:
    """One process, and the worker in it."""

    def __init__(
        self, make: Callable[[], object], method: str, variables: Mapping[str, str]
    ) -> None:
        self._method = method
        self._pool = ProcessPoolExecutor(
            max_workers=1, mp_context=multiprocessing.get_context("spawn")
        )
        with _without_main():
            self._pid = self._pool.submit(_settle, dict(variables))
        self._ready = self._pool.submit(_begin, make)

    def wait_until_ready(self) -> None:
        """Return once the worker is there.

        Raises:
            WorkerStartError: Its constructor failed, or its process died.
        """
        try:
            self._ready.result()
        except Exception as error:
            reason = str(error).strip() or type(error).__name__
            raise WorkerStartError(f"a worker cannot start: {reason}") from error

    def submit(self, job: object) -> Future[Any]:
        """Have the worker do a job."""
        try:
            return self._pool.submit(_do, self._method, job)
        except BrokenProcessPool as error:  # it died while it had nothing to do
            failed: Future[Any] = Future()
            failed.set_exception(error)
            return failed

    def end(self, *, in_haste: bool) -> None:
        """Kill the process, and wait for what looks after it here, where there is nothing else to.

        A pool that is left to itself closes its pipe while Python wakes it at its own end, which
        then prints an error.
        """
        if not in_haste:
            with suppress(Exception):  # it died, or is busy with what was given up
                requests.add(self._pool.submit(requests.drain).result(PATIENCE_WITH_COUNTS))
        killed = False
        with suppress(Exception):  # it is not there yet, or not any more
            psutil.Process(self._pid.result(0)).kill()
            killed = True
        self._pool.shutdown(wait=killed, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Turn(Generic[Job]):
    """A job that a process has under way."""

    process: _Process
    job: Job
    tried: bool
    """Whether a process has died of it before."""
    since: float


@contextmanager
def _without_main() -> Iterator[None]:
    """Let a process begin without importing the program that this one runs.

    It needs nothing of it, and a script that calls a flow at its top level would run again in it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


# What follows runs in the process itself.

_worker: object = None


def _settle(variables: Mapping[str, str]) -> int:
    """Do what comes before the worker's own modules are imported, and return the process's id."""
    os.environ.update(variables)
    for number in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C goes to all; the command ends us
        signal.signal(number, signal.SIG_IGN)
    # What libraries and a watchdog say would stand between the lines of the command.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return os.getpid()


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, in whatever way."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


def _begin(make: Callable[[], object]) -> None:
    global _worker
    _worker = make()


def _do(method: str, job: object) -> object:
    return getattr(_worker, method)(job)
