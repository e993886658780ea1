"""The backfill job: targets that what is archived lacks."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow

from tasks.catalog import Catalog
from tasks.cluster.workplace import workplace
from tasks.collection.access import refuse_nested
from tasks.control import opening
from tasks.control.run import Run
from tasks.jobs.backfill import steps as backfilling
from tasks.jobs.backfill.check import Request, check
from tasks.jobs.backfill.steps import BATCH
from tasks.jobs.backfill.tally import BackfillTally
from tasks.jobs.backfill.worker import Backfiller, BackfillJob, NotFilled
from tasks.plans.options import PlanOptions, build_plan
from tasks.settings import Settings, using
from tasks.storage import open_store
from tasks.storage.addresses import Address


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
    archive: Address,
    options: PlanOptions | None = None,
    source: Address | None = None,
    settings: Settings | None = None,
) -> BackfillSummary:
    """Make the targets that archived sources lack.

    Each is made from the source if that is still what was archived, else from the restored image,
    which its row and its LR file say.

    Args:
        archive: URL or path of the archive.
        options: The targets; by default a preview of 256 pixels.
        source: URL or path of the collection; by default that of the last archive run.
        settings: Of the workers, in place of what the environment says.

    Raises:
        UsageError: No archive there, a wrong target, or the source named is not there.
        StorageError: A store cannot be reached or does not honour conditional writes.
    """
    options = options or PlanOptions(targets=("long-edge=256",))
    with using(settings):
        opening.check_request(check, Request(archive=archive, options=options, source=source))
    plan = build_plan(options)
    catalog = opening.open_archive(archive, prove=True)
    found = opening.find_source(catalog, source)
    if found is not None:
        refuse_nested(open_store(found), catalog.store)
    gaps = backfilling.count_gaps(catalog, plan)
    parameters = {"source": found, "targets": list(plan.target_names)}
    run = Run("backfill", BackfillTally(), parameters)
    if gaps:
        with using(settings):
            plan = opening.settle_stored(plan, gaps, catalog).plan
            plan, models = opening.settle_networks(plan, archive)
            job = BackfillJob(
                source_url=found, archive_url=archive, plan=plan, run_id=run.run_id, models=models
            )
            _fill(run, job, gaps, catalog)
    run.record(catalog)
    run.publish()
    return BackfillSummary(
        run_id=run.run_id,
        targets=plan.target_names,
        source=found,
        sources=gaps,
        from_sources=run.tally.from_sources,
        from_restored=run.tally.from_restored,
        kept=run.tally.kept,
        failures=run.tally.failures,
        stored_bytes=run.tally.stored_bytes,
    )


def _fill(run: Run[BackfillTally], job: BackfillJob, total: int, catalog: Catalog) -> None:
    batches = -(-total // BATCH)
    with workplace(total) as place, place.pool(Backfiller, "fill", (job,), jobs=batches) as pool:
        gaps = backfilling.gaps_of(catalog, job.plan)
        for wave in run.waves(gaps, cut=total, at_least=4 * BATCH, total=total):
            run.add(backfilling.backfill_wave(wave, pool, catalog, run.run_id))
