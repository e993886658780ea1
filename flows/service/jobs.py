"""Jobs: restorations of many sources, one after the other, each in a process of its own.

Every process of the service looks after the same records, takes up what waits, and takes over what
a process that died had begun.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, Final

from flows.service.job_records import End, EndState, Facts, JobRecords, JobState, Order, Record
from flows.service.work import Full
from rescaling_core.errors import RefoldError
from tasks.storage import StorageError

logger: Final = logging.getLogger("refold.serve")

MOST_WAITING: Final = 16
MOST_KNOWN: Final = 200
"""Jobs whose records are kept once they have ended."""
MOST_TRIES: Final = 3
"""Processes that may die over a job."""

_LOOK: Final = 5.0
"""Seconds after which a job that runs is looked after, and a sign of life is left."""
_IDLE: Final = 15.0
"""Seconds after which one that has nothing to do looks for what others left."""
_DEAD: Final = 60.0
"""Seconds without a sign of life after which a process is taken for dead."""
_GRACE: Final = 60.0
"""Seconds that a job's process has to end in order."""
_PARTING: Final = 4.0
"""Seconds that it has when the service ends."""
_TURN: Final = 0.5
"""Seconds within which a job's process is told that the service ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is told of."""

    id: str
    archive: str
    """As the service calls it."""
    facts: Facts
    state: JobState
    dest: str
    """URL of the job's own folder."""
    end: End | None = None


class Jobs:
    """Those of a service; safe to use from several threads."""

    def __init__(
        self,
        records: JobRecords | None,
        archives: Mapping[str, str],
        destinations: Mapping[str, str],
        *,
        dead_after: float = _DEAD,
    ) -> None:
        """Start nothing yet.

        Args:
            records: Of these jobs, and of other services' jobs that are passed over; None where
                there are no destinations.
            archives: Name → URL: only jobs of these are known and done.
            destinations: Name → URL, likewise.
            dead_after: Seconds without a sign of life after which a process is taken for dead.
        """
        self._records, self._destinations = records, destinations
        self._names = {url: name for name, url in archives.items()}
        self._dead_after = dead_after
        self._seen: dict[str, tuple[str, float]] = {}
        """Id → a sign of life, and since when it is the last."""
        self._closing, self._wake = Event(), Event()
        self._thread: Thread | None = None
        self._lock = Lock()

    def add(self, id: str, order: Order) -> Job:
        """Put a job behind the others.

        Raises:
            Full: As many wait as may.
            StorageError: It cannot be put on record.
        """
        assert self._records is not None
        with self._lock:  # so that those of one process do not pass the limit together
            known = self._records.all()
            waiting = (one for one in known if one.waits and self._job(one) is not None)
            if sum(1 for _ in waiting) >= MOST_WAITING:
                raise Full
            ended = [one.id for one in known if one.has_ended]
            self._records.add(id, order)
        try:
            for old in ended[: max(0, len(ended) - MOST_KNOWN)]:
                self._records.forget(old)
        except StorageError as error:  # as where nobody may delete: there are some more of them
            logger.warning("records of jobs cannot be removed: %.300s", error)
        self._wake.set()
        job = self._job(Record(id))
        assert job is not None
        return job

    def get(self, id: str) -> Job | None:
        """One by its id.

        Raises:
            StorageError: The records cannot be read.
        """
        record = None if self._records is None else self._records.one(id)
        return None if record is None else self._job(record)

    def all(self) -> list[Job]:
        """The newest first.

        Raises:
            StorageError: The records cannot be read.
        """
        known = [] if self._records is None else self._records.all()
        jobs = [self._job(record) for record in reversed(known)]
        return [job for job in jobs if job is not None]

    def cancel(self, id: str) -> Job | None:
        """Let none begin that waits, and end one that runs; what is restored by then stays.

        Raises:
            StorageError: That cannot be written down.
        """
        job = self.get(id)
        if job is None or self._records is None or job.state in ("done", "failed", "cancelled"):
            return job
        self._records.cancel(id)
        if job.state == "queued":
            self._records.finish(id, End(state="cancelled"))
        self._wake.set()
        return self.get(id)

    def start(self) -> None:
        """Do jobs, in a thread of their own."""
        if self._records is not None and self._thread is None:
            self._thread = Thread(target=self._work, name="jobs", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Leave what waits and what runs to others, or to the next start of the service."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_PARTING + 4 * _TURN)

    def _job(self, record: Record) -> Job | None:
        """What is told of a record; None if it is not a job of this service."""
        assert self._records is not None
        facts = self._records.facts(record.id)
        if (
            facts is None
            or facts.archive not in self._names
            or facts.destination not in self._destinations
        ):
            return None
        end = self._records.end(record.id) if record.has_ended else None
        state: JobState = "running" if record.tries else "queued"
        if end is not None:
            state = end.state
        elif record.is_cancelled:
            state = "cancelled"
        return Job(
            id=record.id, archive=self._names[facts.archive], facts=facts, state=state,
            dest=f"{self._destinations[facts.destination].rstrip('/')}/{record.id}", end=end,
        )  # fmt: skip

    def _work(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            try:
                worked = self._do_next()
            except RefoldError as error:  # a store that fails now may answer later
                logger.warning("jobs cannot be looked after: %.300s", error)
                worked = False
            if not worked:
                self._wake.wait(min(_IDLE, self._dead_after / 4))

    def _do_next(self) -> bool:
        """Do the oldest job that waits, or whose process died; whether there was one."""
        assert self._records is not None
        known = self._records.all()
        self._seen = {one.id: self._seen[one.id] for one in known if one.id in self._seen}
        for record in known:
            if record.has_ended or not (record.waits or self._is_dead(record)):
                continue
            job = self._job(record)
            if job is None:
                continue
            if record.is_cancelled or record.tries >= MOST_TRIES:
                ended = End(state="cancelled" if record.is_cancelled else "failed")
                self._records.finish(record.id, ended)
                continue
            order = self._records.order(record.id)
            number = None if order is None else self._records.claim(record)
            if order is not None and number is not None:
                self._do(job, order, number)
                return True
        return False

    def _is_dead(self, record: Record) -> bool:
        """Whether the process that began a job has left no sign of life for long.

        It is seen by this process's own clock, so that no two clocks have to agree.
        """
        beat, now = f"{record.tries} {record.beat}", monotonic()
        known, since = self._seen.get(record.id, ("", now))
        if beat != known:
            self._seen[record.id] = (beat, now)
            return False
        return now - since > self._dead_after

    def _do(self, job: Job, order: Order, number: int) -> None:
        assert self._records is not None
        asked = {
            "archive": order.archive,
            "dest": job.dest,
            "keys": order.keys,
            "target": order.target,
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.service.restoring"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the service, which ends its jobs itself
        )
        said, complaints = self._spoken(process, json.dumps(asked), job.id, number)
        record = self._records.one(job.id)
        if record is None or record.has_ended or record.tries != number:
            return  # another process took it over, or it was forgotten
        try:
            told: dict[str, Any] = json.loads(said)
        except ValueError:
            told = {}
        if self._closing.is_set() and "restored" not in told and not record.is_cancelled:
            self._records.release(job.id, number)
            return
        outputs = told.get("outputs", ())
        failures = [*told.get("failures", ()), *told.get("cold", ())]
        state: EndState = "done" if "restored" in told else "failed"
        end = End(state="cancelled" if record.is_cancelled else state,
                  outputs=tuple(outputs), failures=tuple(failures))  # fmt: skip
        self._records.finish(job.id, end)
        if end.state == "failed" or failures:
            reasons = "; ".join(f"{one['source_key']}: {one['reason']}" for one in failures)
            logger.warning("job %s: %s %s", job.id, reasons, complaints[-2000:])

    def _spoken(
        self, process: subprocess.Popen[str], order: str, id: str, number: int
    ) -> tuple[str, str]:
        """What a process said until its end; one that is to end and does not is killed."""
        asked: str | None = order
        look, until = monotonic() + _LOOK, float("inf")
        while True:
            try:
                return process.communicate(asked, timeout=_TURN)
            except subprocess.TimeoutExpired:
                asked = None
            now, closing = monotonic(), self._closing.is_set()
            if closing or now > look:
                look = now + _LOOK
                if (closing or not self._is_wanted(id, number)) and until == float("inf"):
                    process.terminate()
                    until = now + (_PARTING if closing else _GRACE)
            if now > until:
                process.kill()

    def _is_wanted(self, id: str, number: int) -> bool:
        """Whether a job that this process works on is to go on; leaves a sign of life."""
        assert self._records is not None
        try:
            record = self._records.one(id)
            if record is None or record.is_cancelled or record.tries != number:
                return False
            self._records.beat(id, number)
        except RefoldError as error:
            logger.warning("job %s: no sign of life can be left: %.300s", id, error)
        return True
