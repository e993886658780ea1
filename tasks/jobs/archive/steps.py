"""The steps of an archive run, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from math import ceil

from prefect import task

from rescaling_core.plan import ArchivePlan
from tasks.catalog import LIGHT, Catalog, CatalogRow, Quarantined
from tasks.catalog.absent import Absent
from tasks.catalog.query import literal
from tasks.cluster.workers import Lost, Workers
from tasks.collection.listing import EVERYTHING, Selection
from tasks.collection.shards import (
    MOST_SHARD_BYTES,
    MOST_SHARD_IMAGES,
    Shard,
    ShardPlan,
    plan_shards,
)
from tasks.control.artifacts import MAX_ROWS
from tasks.control.committing import in_groups
from tasks.control.logs import run_log
from tasks.control.retries import RETRIED
from tasks.control.run import Wave
from tasks.jobs.archive.looking import pending_of
from tasks.jobs.archive.refused import killer_rows
from tasks.jobs.archive.tally import ArchiveTally, Pending
from tasks.jobs.archive.worker import ConversionJob, ShardResult
from tasks.storage import Store

SHARDS_PER_WORKER = 4
"""At least this many where there are images enough, so that no worker idles at the end."""


@task(name="find pending", **RETRIED)
def find_pending(
    source: Store, catalog: Catalog, plan: ArchivePlan, selection: Selection = EVERYTHING
) -> Pending:
    """List the collection and keep what the catalog does not have for the targets of `plan`.

    Sources that may be unchanged though their file is another one are read and compared, and the
    catalog is told where the bytes of those that are lie now.
    """
    return pending_of(source, catalog, plan, selection, catalog.refresh_marks)


def shards_of(pending: Pending, plan: ArchivePlan, workers: int) -> ShardPlan:
    """Cut what is pending so that every worker has several shards to do, if there is enough."""
    share = ceil(pending.count / (workers * SHARDS_PER_WORKER))
    return plan_shards(
        pending.batches,
        max_images=min(MOST_SHARD_IMAGES, max(1, share)),
        max_bytes=MOST_SHARD_BYTES,
        targets=plan.target_names,
        plan_digest=plan.digest,
    )


@task(name="convert wave", task_run_name="convert wave {wave.number}", **RETRIED)
def convert_wave(
    wave: Wave[Shard],
    pool: Workers[Shard, ShardResult],
    catalog: Catalog,
    job: ConversionJob,
    files: frozenset[str] = frozenset(),
) -> ArchiveTally:
    """Convert shards and commit them as they come back; a second try does what is left.

    Args:
        wave: Of shards.
        pool: Converts them.
        catalog: Of the archive.
        job: What the workers were told.
        files: Of the catalog, that hold none of the sources which are marked as new.
    """
    log = run_log()
    committed = _committed(wave.items, catalog, job)
    tally = ArchiveTally.of(row for rows in committed.values() for row in rows)
    left = (shard for shard in wave.items if shard.shard_id not in committed)
    results = (
        _isolate(result, pool, job) if isinstance(result, Lost) else result
        for result in pool.run(left)
    )
    commit = partial(_commit, catalog, files)
    for done in in_groups(results, commit, rows=lambda result: len(result.rows)):
        tally += ArchiveTally.of(done.rows)
        log.info("wave=%d shard=%s rows=%d", wave.number, done.shard.shard_id, len(done.rows))
        for row in _quarantined(done.rows):
            log.warning("in quarantine: %s: %s: %s", row.source_key, row.error_class, row.reason)
        wave.report("convert", tally.done, tally.nbytes)
    return tally


def _commit(catalog: Catalog, files: frozenset[str], results: Sequence[ShardResult]) -> None:
    sources = (source for result in results for source in result.shard.sources)
    catalog.commit_shards(
        [(result.shard.shard_id, result.rows) for result in results],
        absent=Absent(frozenset(source.key for source in sources if source.new), files),
    )


def _committed(
    shards: Sequence[Shard], catalog: Catalog, job: ConversionJob
) -> dict[str, list[CatalogRow]]:
    """The rows of those shards that a first try of the wave committed, by shard id.

    A shard is committed as a whole, so that one row of this run tells of all its sources.
    """
    span = (shards[0].sources[0].key, shards[-1].sources[-1].key)
    mine = {row.source_key for row in catalog.written_by(job.run_id, between=span)}
    done = {
        source.key: shard.shard_id
        for shard in shards
        if any(source.key in mine for source in shard.sources)
        for source in shard.sources
    }
    found: dict[str, list[CatalogRow]] = {}
    for row in catalog.rows(sources=list(done)) if done else ():
        if row.target in job.plan.target_names:
            found.setdefault(done[row.source_key], []).append(row)
    return found


def _quarantined(rows: Iterable[CatalogRow]) -> list[Quarantined]:
    """One row for each source in quarantine."""
    return list({row.source_key: row for row in rows if isinstance(row, Quarantined)}.values())


def _isolate(lost: Lost, pool: Workers[Shard, ShardResult], job: ConversionJob) -> ShardResult:
    """Convert the sources of a shard that killed its workers one by one.

    The source that does it again goes to quarantine; its neighbours are converted.
    """
    shard: Shard = lost.job
    rows: list[CatalogRow] = []
    for result in pool.run(shard.singles()):
        if isinstance(result, Lost):
            rows.extend(killer_rows(result.job, shard, result.reason, job.run_id, job.plan))
        else:
            rows.extend(result.rows)
    return ShardResult(shard=shard, rows=tuple(rows), seconds=0.0)


def quarantine_of(run_id: str, catalog: Catalog) -> list[dict[str, str | None]]:
    """The sources that a run put into quarantine, as many as Prefect is shown."""
    rows = catalog.rows(where=f"run_id = {literal(run_id)}", state="quarantined", columns=LIGHT)
    return [
        {"source": row.source_key, "target": row.target, "reason": row.reason}
        for row in islice(rows, MAX_ROWS)
        if isinstance(row, Quarantined)
    ]
