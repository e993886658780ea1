"""The archive job: what is new or changed in a collection becomes renditions."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import get_args

from prefect import flow

from flows.report import ReportSummary
from flows.report import report as report_on
from rescaling_core.plan import ArchivePlan
from tasks.catalog import Catalog, State, open_catalog
from tasks.catalog.strategies import StrategyCost
from tasks.cluster.encoders import encoders_of
from tasks.cluster.pool import worker_pool
from tasks.cluster.session import ray_session
from tasks.cluster.slots import encoder_cpus, photos_at_once, worker_slots
from tasks.collection.emptied import refuse_emptied
from tasks.collection.listing import EVERYTHING, Selection
from tasks.control import opening
from tasks.control.run import Run
from tasks.jobs.archive import steps as archiving
from tasks.jobs.archive.check import Request, check
from tasks.jobs.archive.tally import ArchiveTally, Pending
from tasks.jobs.archive.worker import ConversionJob, ShardConverter
from tasks.plans.options import PlanOptions, build_plan
from tasks.settings import Settings, current, using
from tasks.storage import accounting as requests


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run did. A source counts once; archived + kept + quarantined + unchanged = listed."""

    run_id: str
    targets: tuple[str, ...]
    listed: int
    archived: int
    kept: int
    quarantined: int
    unchanged: int
    """Sources the catalog had already, in whatever state."""
    renditions: dict[str, int]
    """The same by state, counted for each source and target."""
    source_bytes: int
    """Of the archived sources."""
    stored_bytes: int
    """Of their LR objects."""
    strategies: dict[str, list[StrategyCost]]
    """By target: how often each strategy of the plan was chosen, and what it alone would have
    stored; see `tasks.catalog.strategies`."""
    seconds: float
    s3_requests: dict[str, int]
    """Sent to S3 by this run and its workers, by kind; empty where nothing lies there."""
    s3_requests_usd: float
    """What they cost, at list prices."""
    report: ReportSummary | None
    """Of the page about this run; None if none was asked for, or there was nothing to convert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a run would do."""

    targets: tuple[str, ...]
    listed: int
    pending: int
    """Sources that are new, changed, or lack a target."""
    pending_bytes: int
    unchanged: int


@flow(name="archive")
def archive(
    source: str,
    archive: str,
    options: PlanOptions | None = None,
    dry_run: bool = False,
    selection: Selection = EVERYTHING,
    report: bool = False,
    settings: Settings | None = None,
    allow_empty: bool = False,
) -> RunSummary | DryRun:
    """Convert what is new or changed since the last run.

    It can be stopped at any instant and started again: what the catalog holds is done.

    Args:
        source: URL or path of the collection, which is only read.
        archive: URL or path of the archive.
        options: Targets, rescalers, codec, quality, floor; by default x2 as PNG.
        dry_run: Say what would be done and do nothing.
        selection: Which sources; by default all that are new or changed.
        report: Leave a page about what was converted in the archive; see `flows.report`.
        settings: Of the workers, in place of what the environment says.
        allow_empty: Take it that nothing is listed, though the archive holds sources.

    Raises:
        EmptiedSourceError: Nothing is listed, though the archive holds sources.
        UsageError: A wrong URL, plan or target. Nothing was started.
        StorageError: A store cannot be reached or does not honour conditional writes.
    """
    started = time.monotonic()
    options = options or PlanOptions()
    request = Request(source=source, archive=archive, options=options, selection=selection)
    with using(settings):
        opening.check_request(check, request)
        settings = current()
    plan = build_plan(options)
    if dry_run:
        collection, catalog = opening.open_for_reading(
            source, archive, follow_links=selection.follow_links
        )
        found = archiving.find_pending(collection, catalog, plan, selection, refresh=False)
        if not (found.listed or allow_empty):
            refuse_emptied(collection, catalog, selection)
        return _dry_run(plan, found)
    asked = {"source": source, "selection": asdict(selection)}
    run = Run("archive", ArchiveTally(), asked)
    collection, store = opening.open_for_writing(
        source, archive, follow_links=selection.follow_links
    )
    catalog = open_catalog(store)
    pending = archiving.find_pending(collection, catalog, plan, selection)
    if not (pending.listed or allow_empty):
        refuse_emptied(collection, catalog, selection)
    run.add(ArchiveTally(listed=pending.listed, unchanged=pending.unchanged), "listing")
    if pending.count:
        with using(settings):
            asked_plan = plan
            plan, models = opening.settle_networks(plan, archive)
            job = ConversionJob(
                source_url=source,
                archive_url=archive,
                plan=plan,
                run_id=run.run_id,
                models=models,
                follow_links=selection.follow_links,
                include_renditions=selection.include_renditions,
                asked=asked_plan,
                trace=run.trace,
            )
            _convert(run, job, pending, catalog)
    asked["plan"] = asdict(plan)  # with the weights it was settled on
    run.record(catalog)
    sent = requests.drain()
    quarantine = archiving.quarantine_of(run.run_id, catalog) if run.tally.quarantined else []
    run.publish(quarantine, text=run.tally.strategies.markdown(), sent=sent)
    # Its function, not its flow: a flow run of its own cannot begin where Prefect's server died.
    page = report_on.fn(archive, run.run_id) if report and pending.count else None
    return _summary(run, plan, time.monotonic() - started, sent, page)


def _convert(
    run: Run[ArchiveTally], job: ConversionJob, pending: Pending, catalog: Catalog
) -> None:
    """Convert all that is pending, wave by wave."""
    with ray_session():
        # Before their CPUs are asked for: more encoders than there is room for are refused here.
        cluster = worker_slots(encoders=encoder_cpus())
        told = replace(job, photos_at_once=photos_at_once(cluster))
        shards = archiving.shards_of(pending, job.plan, cluster.most)
        slots = cluster.at_most(len(shards))
        with (
            encoders_of(encoder_cpus()) as encoders,
            worker_pool(
                ShardConverter, "convert", (replace(told, encoders=encoders),), slots
            ) as pool,
        ):
            enough = slots.most * archiving.SHARDS_PER_WORKER
            for wave in run.waves(shards, cut=len(shards), at_least=enough, total=pending.count):
                run.add(archiving.convert_wave(wave, pool, catalog, job))


def _dry_run(plan: ArchivePlan, pending: Pending) -> DryRun:
    return DryRun(
        targets=plan.target_names,
        listed=pending.listed,
        pending=pending.count,
        pending_bytes=pending.nbytes,
        unchanged=pending.unchanged,
    )


def _summary(
    run: Run[ArchiveTally],
    plan: ArchivePlan,
    seconds: float,
    sent: dict[str, int],
    page: ReportSummary | None,
) -> RunSummary:
    tally = run.tally
    return RunSummary(
        run_id=run.run_id,
        targets=plan.target_names,
        listed=tally.listed,
        archived=tally.archived,
        kept=tally.kept,
        quarantined=tally.quarantined,
        unchanged=tally.unchanged,
        renditions={state: tally.renditions[state] for state in get_args(State)},
        source_bytes=tally.source_bytes,
        stored_bytes=tally.stored_bytes,
        strategies=tally.strategies.report(),
        seconds=round(seconds, 3),
        s3_requests=sent,
        s3_requests_usd=round(requests.cost(sent), 6),
        report=page,
    )
