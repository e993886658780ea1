"""The steps of a backfill run, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from prefect import task

from rescaling_core.plan import ArchivePlan
from tasks.catalog import LIGHT, Catalog, CatalogRow
from tasks.catalog.history import trust
from tasks.cluster.pool import Lost, WorkerPool
from tasks.control import progress, waves
from tasks.control.progress import Progress
from tasks.control.retries import RETRIED
from tasks.jobs.backfill.tally import BackfillTally
from tasks.jobs.backfill.worker import Filled, Gap, NotFilled

BATCH = 32
"""Sources a worker is given at once, committed together."""


@task(name="count gaps", **RETRIED)
def count_gaps(catalog: Catalog, plan: ArchivePlan) -> int:
    """How many archived sources lack a target of `plan`."""
    return sum(1 for _ in gaps_of(catalog, plan, columns=LIGHT))


def gaps_of(catalog: Catalog, plan: ArchivePlan, *, columns: Sequence[str] = ()) -> Iterator[Gap]:
    """The archived sources that lack a target of `plan`, some thousand at a time in memory.

    Args:
        catalog: The archive's.
        plan: Names the targets.
        columns: Of the catalog, by default all.
    """
    found = catalog.rows(columns=columns)
    for _, rows in groupby(found, key=lambda row: row.source_key):
        gap = gap_of(list(rows), plan.target_names)
        if gap is not None:
            yield gap


def gap_of(rows: Sequence[CatalogRow], targets: Sequence[str]) -> Gap | None:
    """What one source lacks, going by the etag it was last archived with."""
    archived = [row for row in rows if row.state == "archived" and row.committed_at]
    if not archived:
        return None
    etag = max(archived, key=lambda row: row.committed_at or 0).source_etag
    current = [row for row in rows if row.source_etag == etag]
    missing = tuple(name for name in targets if name not in {row.target for row in current})
    if not missing:
        return None
    of_etag = [row for row in archived if row.source_etag == etag]
    restorable = [row for row in of_etag if row.psnr_y is not None]
    best = max(restorable, key=trust, default=None)
    return Gap(of_etag[0], missing, best)


def waves_of(gaps: Iterator[Gap], total: int) -> Iterator[Sequence[Gap]]:
    """Cut the gaps of a run into waves."""
    return waves.waves_of(gaps, total=total, at_least=4 * BATCH)


@task(name="backfill wave", task_run_name="backfill wave {number}", **RETRIED)
def backfill_wave(
    number: int,
    gaps: Sequence[Gap],
    pool: WorkerPool[Sequence[Gap], Filled],
    catalog: Catalog,
    tally: BackfillTally,
    total: int,
) -> None:
    """Fill one wave of gaps, committing batch by batch as they come back."""
    lost: list[Gap] = []
    left = [gap for gap in gaps if gap.row.source_key not in tally.finished]
    for result in pool.run([left[start : start + BATCH] for start in range(0, len(left), BATCH)]):
        if isinstance(result, Lost):
            lost += result.job
        else:
            _commit(catalog, result, tally, total)
    for result in pool.run([[gap] for gap in lost]):
        if isinstance(result, Lost):
            (gap,) = result.job
            key = gap.row.source_key
            failure = NotFilled(key, gap.targets, result.reason)
            result = Filled(sources=(key,), shard_id="", rows=(), failures=(failure,))
        _commit(catalog, result, tally, total)
    tally.finished.clear()


def _commit(catalog: Catalog, filled: Filled, tally: BackfillTally, total: int) -> None:
    catalog.commit_shard(filled.shard_id, filled.rows)
    tally.add(filled)
    tally.done += len(filled.sources)
    tally.finished.update(filled.sources)
    progress.report(Progress(step="convert", done=tally.done, total=total))
