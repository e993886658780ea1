"""The steps of a backfill run, as Prefect tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from prefect import task

from rescaling_core.errors import UsageError
from rescaling_core.plan import ArchivePlan
from tasks import progress, waves
from tasks.backfill import Filled, Gap, NotFilled
from tasks.catalog import LIGHT, Catalog, CatalogRow, open_catalog
from tasks.cluster import Lost, WorkerPool
from tasks.progress import Progress
from tasks.retrying import RETRIED
from tasks.rows import trust
from tasks.storage import open_store

BATCH = 32
"""Sources a worker is given at once, committed together."""


@dataclass(slots=True)
class BackfillTally:
    """Counts that grow as renditions are committed."""

    from_sources: int = 0
    """Renditions."""
    from_restored: int = 0
    kept: int = 0
    stored_bytes: int = 0
    failures: list[NotFilled] = field(default_factory=list)
    done: int = 0
    """Sources."""
    finished: set[str] = field(default_factory=set)
    """Keys of the wave under way: if it is tried again, it passes over them."""

    def add(self, filled: Filled) -> None:
        """Count what became of some gaps."""
        archived = [row for row in filled.rows if row.state == "archived"]
        restored = sum(row.origin == "restored image" for row in archived)
        self.from_restored += restored
        self.from_sources += len(archived) - restored
        self.kept += len(filled.rows) - len(archived)
        self.stored_bytes += sum(row.lr_bytes or 0 for row in archived)
        self.failures += filled.failures


@task(name="open archive", **RETRIED)
def open_archive(archive_url: str) -> Catalog:
    """Open the catalog of an archive that is to be written to.

    Raises:
        UsageError: No archive there.
        StorageError: The store lets two writers win.
    """
    store = open_store(archive_url)
    catalog = open_catalog(store, create=False)
    store.prove_conditional_writes()
    return catalog


@task(name="find source", **RETRIED)
def find_source(catalog: Catalog, source_url: str | None) -> str | None:
    """The collection to read from: the one named, else that of the last archive run.

    Returns:
        Its URL; None if none is known, or the known one is not there any more.

    Raises:
        UsageError: The one named is not there.
        StorageError: The store failed, so that nothing is known of it.
    """
    if source_url is not None:
        open_store(source_url).require_root()
        return source_url
    for run in reversed(catalog.runs()):
        recorded = json.loads(run.parameters_json).get("source")
        if recorded is not None:
            try:
                open_store(recorded).require_root()
            except UsageError:
                return None
            return str(recorded)
    return None


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
