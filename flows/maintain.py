"""The maintenance job: small tables, and no LR objects that nothing names."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow

from tasks.catalog.upkeep import Upkeep
from tasks.control.ages import parse_grace
from tasks.control.artifacts import publish
from tasks.control.opening import open_existing
from tasks.control.record import Counts, JobRun, new_run_id, record_job
from tasks.jobs.maintain import steps as maintenance
from tasks.storage import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintainSummary:
    """What a run did, or would do."""

    run_id: str | None
    """None of a dry run, which leaves no trace."""
    removed_objects: int
    """LR objects that no row names."""
    removed_bytes: int
    unfinished: int
    """Half files and begun uploads of killed writers, removed too."""
    tables: Upkeep


@flow(name="maintain")
def maintain(archive: str, grace: str = "7d", dry_run: bool = False) -> MaintainSummary:
    """Remove what nothing needs any more, and compact the catalog.

    Args:
        archive: URL or path of the archive.
        grace: Younger things stay, whether needed or not; such as 36h, 7d or 2w.
        dry_run: Count what would be removed and do nothing.

    Raises:
        UsageError: No archive there, a grace period below an hour, a catalog that names nothing.
        StorageError: The store fails, or its listing is not complete.
    """
    period = parse_grace(grace)
    catalog = open_existing(archive)
    store = open_store(archive)
    run = JobRun(job="maintain", run_id=new_run_id(), parameters={"grace": grace})
    before = maintenance.cutoff(period)
    keys = maintenance.find_garbage(store, catalog, before)
    removed = maintenance.remove_garbage(store, keys, before, dry_run=dry_run)
    unfinished = maintenance.remove_unfinished(store, before, dry_run=dry_run)
    if not dry_run:
        record_job(catalog, run, Counts(listed=removed.objects, stored_bytes=removed.nbytes))
    tables = maintenance.keep_tables_up(catalog, period, dry_run=dry_run)
    if not dry_run:
        maintenance.note_digests(store, run.run_id)
        publish(
            run.job,
            run.run_id,
            {
                "LR objects removed": removed.objects,
                "their bytes": removed.nbytes,
                "half files removed": unfinished,
                "files of the catalog before": tables.files_before,
                "and after": tables.files_after,
                "files of replaced versions removed": tables.files_removed,
            },
        )
    return MaintainSummary(
        run_id=None if dry_run else run.run_id,
        removed_objects=removed.objects,
        removed_bytes=removed.nbytes,
        unfinished=unfinished,
        tables=tables,
    )
