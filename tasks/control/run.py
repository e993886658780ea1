"""The frame of a run: what every job that writes does beside its own work.

A flow makes a `Run`, gives its waves to the steps of the job and adds what they return. The run
numbers the waves, writes the log, and at the end the row in the table of runs and the summary in
Prefect. Steps never see it: they are given a `Wave`, and return a `Tally`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from prefect import task

from tasks.catalog import Catalog
from tasks.cluster.workers import Lost, Workers
from tasks.control.artifacts import publish
from tasks.control.events import tell
from tasks.control.logs import run_log, words_of
from tasks.control.metrics import Watched
from tasks.control.progress import Progress, Step, report
from tasks.control.record import Counts, JobRun, new_run_id, write_run
from tasks.control.retries import RETRIED
from tasks.control.tally import Tally
from tasks.control.tracing import Carrier, RunTrace
from tasks.control.waves import waves_of

Item = TypeVar("Item")
Job = TypeVar("Job")
Result = TypeVar("Result")
Counted = TypeVar("Counted", bound=Tally)


@dataclass(frozen=True, slots=True)
class Wave(Generic[Item]):
    """The part of a run that one Prefect task does."""

    number: int
    """From 1."""
    items: Sequence[Item]
    """Shards, checks, keys."""
    before: int = 0
    """How many sources earlier waves accounted for."""
    bytes_before: int = 0
    total: int | None = None
    """How many sources the whole run has; None if that is not known."""

    def report(self, step: Step, done: int, nbytes: int = 0) -> None:
        """Tell whoever watches how far the run has come.

        Args:
            step: What is being done.
            done: How many sources this wave has accounted for.
            nbytes: The bytes of it to show.
        """
        come, moved = self.before + done, self.bytes_before + nbytes
        report(Progress(step=step, done=come, total=self.total, nbytes=moved))


class Run(Generic[Counted]):
    """One run of a job, from its start to its row in the table of runs."""

    def __init__(self, job: str, nothing: Counted, parameters: dict[str, Any]) -> None:
        """Begin a run.

        Args:
            job: Such as `scrub`.
            nothing: The job's tally before anything is done.
            parameters: What was asked for; no credentials.
        """
        self.job = job
        self.run_id = new_run_id()
        self.tally = nothing
        self._parameters = parameters
        self._started_at = datetime.now(UTC)
        self._wave = "wave 0"
        self._since = time.monotonic()
        self._watched = Watched(job)
        self._trace = RunTrace(job, self.run_id)

    @property
    def trace(self) -> Carrier:
        """What tells a worker which trace it is a part of; empty if there is none."""
        return self._trace.carrier

    def waves(
        self, items: Iterable[Item], *, cut: int, at_least: int, total: int | None = None
    ) -> Iterator[Wave[Item]]:
        """Cut the items of the run into waves; see `waves_of`.

        Args:
            items: Shards, checks, keys.
            cut: How many items there are, or are a part of.
            at_least: Items of a wave, the last one excepted.
            total: How many sources there are, for the progress.
        """
        self._watched.expected(total)
        for number, wave in enumerate(waves_of(items, total=cut, at_least=at_least), 1):
            self._wave, self._since = f"wave {number}", time.monotonic()
            yield Wave(number, wave, self.tally.done, self.tally.nbytes, total)

    def add(self, done: Counted, step: str | None = None) -> None:
        """Count what a step returned, with a line in the log and one for each trouble.

        Args:
            done: What came of it.
            step: Its name, where it is not the wave that `waves` gave last.
        """
        self.tally = self.tally + done
        log = run_log()
        counted = {name.replace(" ", "_"): n for name, n in done.words().items() if n}
        words = "".join(f" {name}={n}" for name, n in counted.items())
        seconds = time.monotonic() - self._since
        log.info("%s %s:%s seconds=%.1f", self.job, step or self._wave, words, seconds)
        self._watched.counted(
            done.words(), len(done.troubles), self.tally.done, seconds if step is None else None
        )
        self._trace.step(step or self._wave, seconds, counted)
        for trouble in done.troubles:
            log.warning("%s: %s", self.job, words_of(trouble))

    def record(self, catalog: Catalog) -> None:
        """Write the run into the catalog's table of runs."""
        asked = JobRun(
            job=self.job,
            run_id=self.run_id,
            parameters=self._parameters,
            started_at=self._started_at,
        )
        record_job(catalog, asked, self.tally.counts)
        self._watched.finished()
        self._trace.end()

    def publish(
        self,
        troubles: Sequence[Mapping[str, object]] | None = None,
        *,
        text: str = "",
        sent: Mapping[str, int] | None = None,
    ) -> None:
        """Leave the counts in Prefect, and what has to be looked at.

        Args:
            troubles: By default those of the tally.
            text: Markdown to put below the counts.
            sent: S3 requests of the run, where they were taken from the account already.
        """
        if troubles is None:
            troubles = [asdict(trouble) for trouble in self.tally.troubles]
        words = self.tally.words()
        publish(self.job, self.run_id, words, troubles, text=text, sent=sent)
        tell(self.job, self.run_id, words)


@task(name="record run", **RETRIED)
def record_job(catalog: Catalog, run: JobRun, counts: Counts) -> None:
    """Write what a run did into the catalog's table of runs."""
    write_run(catalog, run, counts)


def results_of(
    pool: Workers[Job, Result],
    jobs: Iterable[Job],
    singles: Callable[[Job], Iterable[Job]],
) -> Iterator[Result | Lost]:
    """Yield the result of each job; a job that killed its workers is tried item by item.

    Args:
        pool: Of the workers.
        jobs: Each of several items.
        singles: Cuts a job into jobs of one item. Those of them that kill their workers as well
            come back as `Lost`.
    """
    lost: list[Job] = []
    for result in pool.run(jobs):
        if isinstance(result, Lost):
            lost.append(result.job)
        else:
            yield result
    for job in lost:
        yield from pool.run(singles(job))


def batches_of(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Cut the items of a wave into jobs for workers."""
    return (items[start : start + size] for start in range(0, len(items), size))


def one_by_one(batch: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Cut a batch into batches of one item, for `results_of`."""
    return batches_of(batch, 1)
