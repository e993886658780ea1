"""The steps of an archive run, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from math import ceil

import pyarrow as pa
from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from rescaling_core.plan import ArchivePlan
from tasks.catalog import Catalog, CatalogRow, State
from tasks.cluster.pool import Lost, WorkerPool
from tasks.collection.access import sources_of
from tasks.collection.listing import EVERYTHING, Selection
from tasks.collection.shards import Shard, ShardPlan, plan_shards
from tasks.control import progress, waves
from tasks.control.artifacts import billed, markdown_of
from tasks.control.progress import Progress
from tasks.control.record import Counts, JobRun, write_run
from tasks.control.retries import RETRIED
from tasks.jobs.archive.tally import Pending, RunTally
from tasks.jobs.archive.worker import ConversionJob, ShardResult, killer_rows
from tasks.storage import Store

MAX_QUARANTINE_LISTED = 500
"""Rows of the quarantine artifact; the catalog has them all."""

MAX_SHARD_IMAGES = 64
MAX_SHARD_BYTES = 256 * 2**20
SHARDS_PER_WORKER = 4
"""At least this many where there are images enough, so that no worker idles at the end."""


@task(name="find pending", **RETRIED)
def find_pending(
    source: Store, catalog: Catalog, plan: ArchivePlan, selection: Selection = EVERYTHING
) -> Pending:
    """List the collection and keep what the catalog does not have for the targets of `plan`."""
    retry: tuple[State, ...] = ("quarantined",) if selection.retry_quarantined else ()
    listed = 0
    pending: list[pa.RecordBatch] = []
    known = catalog.exists()
    for batch in sources_of(source, selection):
        listed += batch.num_rows
        progress.report(Progress(step="scan", done=listed, total=None))
        pending.append(catalog.pending(batch, plan.target_names, retry=retry) if known else batch)
    return Pending(batches=tuple(pending), listed=listed)


def shards_of(pending: Pending, plan: ArchivePlan, workers: int) -> ShardPlan:
    """Cut what is pending so that every worker has several shards to do, if there is enough."""
    share = ceil(pending.count / (workers * SHARDS_PER_WORKER))
    return plan_shards(
        pending.batches,
        max_images=min(MAX_SHARD_IMAGES, max(1, share)),
        max_bytes=MAX_SHARD_BYTES,
        targets=plan.target_names,
        plan_digest=plan.digest,
    )


def waves_of(shards: Sequence[Shard], workers: int) -> Iterator[Sequence[Shard]]:
    """Cut the shards of a run into waves, none too small to keep the workers busy."""
    return waves.waves_of(shards, total=len(shards), at_least=workers * SHARDS_PER_WORKER)


@task(
    name="convert wave",
    task_run_name="convert wave {number}",
    **RETRIED,
)
def convert_wave(
    number: int,
    shards: Sequence[Shard],
    pool: WorkerPool[Shard, ShardResult],
    catalog: Catalog,
    job: ConversionJob,
    tally: RunTally,
    pending: Pending,
) -> None:
    """Convert shards and commit each as it comes back; a second try does what is left."""
    logger = get_run_logger()
    left = (shard for shard in shards if shard.shard_id not in tally.shards)
    for result in pool.run(left):
        done = _isolate(result, pool, job) if isinstance(result, Lost) else result
        shard_id = done.shard.shard_id
        committed = catalog.commit_shard(shard_id, done.rows)
        tally.add(done.shard, done.rows)
        logger.info("wave=%d shard=%s rows=%d new=%s", number, shard_id, len(done.rows), committed)
        progress.report(
            Progress(
                step="convert",
                done=tally.sources,
                total=pending.count,
                nbytes=tally.source_bytes,
            )
        )


def _isolate(lost: Lost, pool: WorkerPool[Shard, ShardResult], job: ConversionJob) -> ShardResult:
    """Convert the sources of a shard that killed its workers one by one.

    The source that does it again goes to quarantine; its neighbours are converted.
    """
    shard: Shard = lost.job
    rows: list[CatalogRow] = []
    for result in pool.run(shard.singles()):
        if isinstance(result, Lost):
            rows.extend(killer_rows(result.job, shard, result.reason, job))
        else:
            rows.extend(result.rows)
    return ShardResult(shard=shard, rows=tuple(rows), seconds=0.0)


@task(name="record run", **RETRIED)
def record_run(
    catalog: Catalog,
    job: ConversionJob,
    pending: Pending,
    tally: RunTally,
    started_at: datetime,
    selection: Selection = EVERYTHING,
) -> None:
    """Write what a run did into the catalog's table of runs."""
    asked = {"source": job.source_url, "plan": asdict(job.plan), "selection": asdict(selection)}
    run = JobRun(job="archive", run_id=job.run_id, parameters=asked, started_at=started_at)
    counts = Counts(
        listed=pending.listed,
        archived=tally.archived,
        kept=tally.kept,
        quarantined=tally.quarantined,
        unchanged=pending.unchanged,
        source_bytes=tally.source_bytes,
        stored_bytes=tally.stored_bytes,
    )
    write_run(catalog, run, counts)


@task(name="publish summary", cache_policy=NO_CACHE)
def publish_summary(
    run_id: str, tally: RunTally, pending: Pending, catalog: Catalog, sent: Mapping[str, int]
) -> None:
    """Leave the run's counts, and the sources it put into quarantine, as Prefect artifacts."""
    name = run_id.lower()
    create_markdown_artifact(
        key=f"archive-{name}",
        description=f"archive run {run_id}",
        markdown=(
            f"| listed | archived | kept | quarantined | unchanged |\n|---|---|---|---|---|\n"
            f"| {pending.listed} | {tally.archived} | {tally.kept} | {tally.quarantined} "
            f"| {pending.unchanged} |\n\n"
            f"{tally.source_bytes} bytes of sources in {tally.stored_bytes} bytes of LR objects."
            f"\n\n{tally.strategies.markdown()}"
            f"\n\n{markdown_of(billed(sent)) if sent else ''}"
        ),
    )
    if tally.quarantined:
        rows = catalog.rows(where=f"run_id = '{run_id}'", state="quarantined")
        create_table_artifact(
            key=f"quarantine-{name}",
            description=f"sources that run {run_id} put into quarantine",
            table=[
                {"source": row.source_key, "target": row.target, "reason": row.reason}
                for row in islice(rows, MAX_QUARANTINE_LISTED)
            ],
        )
