"""Jobs: restorations of many sources, one after the other, each in a process of its own."""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import sys
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final, Literal

from flows.service.work import Full

logger: Final = logging.getLogger("refold.serve")

JobState = Literal["queued", "running", "done", "failed", "cancelled"]

_MOST_WAITING: Final = 16
_MOST_KNOWN: Final = 200
"""Jobs that are remembered once they have ended."""
_LOOK: Final = 5.0
"""Seconds after which a job that runs is looked after."""
_GRACE: Final = 60.0
"""Seconds that a cancelled job has to end in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a job is to do. The URLs are the operator's own."""

    archive: str
    """URL."""
    dest: str
    """URL of the job's own folder."""
    keys: tuple[str, ...]
    target: str | None


@dataclass(slots=True, kw_only=True)
class Job:
    """A job, and how far it has come. Only `Jobs` changes it."""

    id: str
    archive: str
    """As the service calls it."""
    destination: str
    """As the service calls it."""
    order: Order
    asked_at: datetime
    state: JobState = "queued"
    outputs: list[dict[str, Any]] = field(default_factory=list)
    """As `refold restore --json` prints them."""
    failures: list[dict[str, Any]] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.state in ("done", "failed", "cancelled")


class Jobs:
    """Those of a service; safe to use from several threads. They are not remembered beyond it."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._known: OrderedDict[str, Job] = OrderedDict()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="job")
        self._lock = Lock()

    def add(self, archive: str, destination: str, order: Order, id: str) -> Job:
        """Put a job behind the others.

        Raises:
            Full: As many wait as may.
        """
        job = Job(id=id, archive=archive, destination=destination, order=order,
                  asked_at=datetime.now(UTC))  # fmt: skip
        with self._lock:
            waiting = [one for one in self._known.values() if one.state == "queued"]
            if len(waiting) >= _MOST_WAITING:
                raise Full
            ended = [one.id for one in self._known.values() if one.has_ended]
            for old in ended[: max(0, len(self._known) - _MOST_KNOWN)]:
                del self._known[old]
            self._known[id] = job
        future: Future[None] = self._pool.submit(self._run, job)
        future.add_done_callback(_tell_bugs)
        return job

    def get(self, id: str) -> Job | None:
        """One by its id."""
        with self._lock:
            return self._known.get(id)

    def all(self) -> list[Job]:
        """The newest first."""
        with self._lock:
            return list(self._known.values())[::-1]

    def cancel(self, job: Job) -> None:
        """Start none that waits, and end one that runs; what is restored by then stays."""
        with self._lock:
            if job.has_ended:
                return
            job.state = "cancelled"
            process = job.process
        if process is not None:
            process.terminate()

    def close(self) -> None:
        """Cancel them all."""
        for job in self.all():
            self.cancel(job)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: Job) -> None:
        with self._lock:
            if job.state != "queued":
                return
            job.process = process = subprocess.Popen(
                [sys.executable, "-m", "flows.service.restoring"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C is for the service, which ends its jobs itself
            )
            job.state = "running"
        said, complaints = _spoken(process, json.dumps(asdict(job.order)), job)
        try:
            record = json.loads(said)
        except ValueError:
            record = {}
        with self._lock:
            job.process = None
            job.outputs, job.failures = record.get("outputs", []), record.get("failures", [])
            if job.state == "running":
                job.state = "done" if "restored" in record else "failed"
        if job.state == "failed" or job.failures:
            reasons = "; ".join(f"{one['source_key']}: {one['reason']}" for one in job.failures)
            logger.warning("job %s: %s %s", job.id, reasons, complaints[-2000:])


def _spoken(process: subprocess.Popen[str], order: str, job: Job) -> tuple[str, str]:
    """What a process said until its end; a cancelled one that does not end is killed."""
    waited, told = 0.0, False
    while True:
        try:
            return process.communicate(None if told else order, timeout=_LOOK)
        except subprocess.TimeoutExpired:
            told = True
            waited += _LOOK if job.state == "cancelled" else 0.0
            if waited > _GRACE:
                process.kill()


def new_id() -> str:
    """An id that cannot be guessed, and is the name of a folder."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(8)}"


def _tell_bugs(future: Future[None]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        logger.error("a job could not be run: %s", error, exc_info=error)
