"""The backfill job: targets that what is archived lacks."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from prefect import flow

from tasks.catalog import Catalog
from tasks.cluster.pool import worker_pool
from tasks.cluster.session import ray_session
from tasks.cluster.slots import worker_slots
from tasks.control import opening
from tasks.control.artifacts import publish
from tasks.control.record import Counts, JobRun, new_run_id, record_job
from tasks.jobs.backfill import steps as backfilling
from tasks.jobs.backfill.steps import BATCH
from tasks.jobs.backfill.tally import BackfillTally
from tasks.jobs.backfill.worker import Backfiller, BackfillJob, NotFilled
from tasks.plans.options import PlanOptions, build_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSummary:
    """What a run did."""

    run_id: str
    targets: tuple[str, ...]
    source: str | None
    """The collection that was read from; None if it is gone."""
    sources: int
    """Archived sources that lacked a target."""
    from_sources: int
    """Renditions made from sources."""
    from_restored: int
    """Renditions made from restored images, since the source is gone or has changed."""
    kept: int
    """Rows that say why there is no rendition."""
    failures: tuple[NotFilled, ...]
    stored_bytes: int


@flow(name="backfill")
def backfill(
    archive: str, options: PlanOptions | None = None, source: str | None = None
) -> BackfillSummary:
    """Make the targets that archived sources lack.

    Each is made from the source if that is still what was archived, else from the restored image,
    which its row and its LR file say.

    Args:
        archive: URL or path of the archive.
        options: The targets; by default a preview of 256 pixels.
        source: URL or path of the collection; by default that of the last archive run.

    Raises:
        UsageError: No archive there, a wrong target, or the source named is not there.
        StorageError: A store cannot be reached or does not honour conditional writes.
    """
    plan = build_plan(options or PlanOptions(targets=("long-edge=256",)))
    catalog = opening.open_archive_for_writing(archive)
    found = opening.find_source(catalog, source)
    gaps = backfilling.count_gaps(catalog, plan)
    run = JobRun(
        job="backfill",
        run_id=new_run_id(),
        parameters={"source": found, "targets": list(plan.target_names)},
    )
    job = BackfillJob(source_url=found, archive_url=archive, plan=plan, run_id=run.run_id)
    tally = _fill(job, gaps, catalog) if gaps else BackfillTally()
    counts = Counts(
        listed=gaps,
        archived=tally.from_sources + tally.from_restored,
        kept=tally.kept,
        quarantined=len(tally.failures),
        stored_bytes=tally.stored_bytes,
    )
    record_job(catalog, run, counts)
    publish(
        run.job,
        run.run_id,
        {
            "sources with gaps": gaps,
            "made from sources": tally.from_sources,
            "made from restored images": tally.from_restored,
            "kept": tally.kept,
            "not filled": len(tally.failures),
            "stored bytes": tally.stored_bytes,
        },
        [asdict(failure) for failure in tally.failures],
    )
    return BackfillSummary(
        run_id=run.run_id,
        targets=plan.target_names,
        source=found,
        sources=gaps,
        from_sources=tally.from_sources,
        from_restored=tally.from_restored,
        kept=tally.kept,
        failures=tuple(tally.failures),
        stored_bytes=tally.stored_bytes,
    )


def _fill(job: BackfillJob, total: int, catalog: Catalog) -> BackfillTally:
    tally = BackfillTally()
    with ray_session():
        slots = worker_slots().at_most(-(-total // BATCH))
        with worker_pool(Backfiller, "fill", (job,), slots) as pool:
            gaps = backfilling.gaps_of(catalog, job.plan)
            for number, wave in enumerate(backfilling.waves_of(gaps, total), 1):
                backfilling.backfill_wave(number, wave, pool, catalog, tally, total)
    return tally
