"""The archive job: what is new or changed in a collection becomes renditions."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

from prefect import flow

from flows.report import report as report_on
from flows.results import DryRun, RunSummary, dry_run_of, summary_of
from tasks.catalog import Catalog, open_catalog
from tasks.cluster.slots import encoder_cpus, photos_at_once
from tasks.cluster.workplace import workplace
from tasks.collection.emptied import refuse_emptied
from tasks.collection.listing import EVERYTHING, Selection
from tasks.control import opening
from tasks.control.run import Run
from tasks.jobs.archive import steps as archiving
from tasks.jobs.archive.check import Request, check
from tasks.jobs.archive.looking import found_already, pending_of
from tasks.jobs.archive.tally import ArchiveTally, Pending
from tasks.jobs.archive.worker import ConversionJob, ShardConverter
from tasks.plans.options import PlanOptions, build_plan
from tasks.settings import Settings, current, using
from tasks.storage import accounting as requests
from tasks.storage.addresses import Address


@flow(name="archive")
def archive(
    source: Address,
    archive: Address,
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
        options: Targets, rescalers, codec, quality, floor; by default the preset `balanced`, less
            what needs a codec that is not installed.
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
        found = pending_of(collection, catalog, plan, selection, lambda _moved: None)
        if not (found.listed or allow_empty):
            refuse_emptied(collection, catalog, selection)
        return dry_run_of(plan, found, catalog)
    asked = {"source": source, "selection": asdict(selection)}
    run = Run("archive", ArchiveTally(), asked)
    collection, store = opening.open_for_writing(
        source, archive, follow_links=selection.follow_links
    )
    catalog = open_catalog(store)
    pending = found_already(request) or archiving.find_pending(collection, catalog, plan, selection)
    if not (pending.listed or allow_empty):
        refuse_emptied(collection, catalog, selection)
    run.add(ArchiveTally(listed=pending.listed, unchanged=pending.unchanged), "listing")
    storage: str | None = None
    if pending.count:
        with using(settings):
            asked_plan = plan
            stored = opening.settle_stored(plan, pending.listed, catalog)
            plan, storage = stored.plan, stored.reason
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
    seconds = time.monotonic() - started
    return summary_of(
        run.run_id, run.tally, plan, seconds=seconds, sent=sent, page=page, storage=storage
    )


def _convert(
    run: Run[ArchiveTally], job: ConversionJob, pending: Pending, catalog: Catalog
) -> None:
    """Convert all that is pending, wave by wave."""
    with workplace(pending.count, encoding=encoder_cpus()) as place, place.encoders() as encoders:
        told = replace(job, photos_at_once=photos_at_once(place.slots), encoders=encoders)
        shards = archiving.shards_of(pending, job.plan, place.slots.most)
        with place.pool(ShardConverter, "convert", (told,), jobs=len(shards)) as pool:
            enough = min(place.slots.most, len(shards)) * archiving.SHARDS_PER_WORKER
            for wave in run.waves(shards, cut=len(shards), at_least=enough, total=pending.count):
                run.add(archiving.convert_wave(wave, pool, catalog, job, pending.files))
