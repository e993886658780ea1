"""The maintenance job: small tables, and no LR objects that nothing names."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from prefect import flow

from tasks.catalog.upkeep import Upkeep
from tasks.control.ages import parse_grace
from tasks.control.opening import check_request, open_archive
from tasks.control.run import Run
from tasks.jobs.maintain import steps as maintenance
from tasks.jobs.maintain.check import Request, check
from tasks.jobs.maintain.repack import find_rewrites, rewrite_packs, would_rewrite
from tasks.jobs.maintain.retention import extend_retention
from tasks.jobs.maintain.tally import MaintainTally
from tasks.renditions.repacking import StaysInPack
from tasks.storage import open_store
from tasks.storage.addresses import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintainSummary:
    """What a run did, or would do."""

    run_id: str | None
    """None of a dry run, which leaves no trace."""
    removed_objects: int
    """LR objects and packs that no row names."""
    removed_bytes: int
    unfinished: int
    """Half files and begun uploads of killed writers, removed too."""
    tables: Upkeep
    locked: int = 0
    """LR objects that no row names and that a lock keeps, or that may not be deleted."""
    retained: int = 0
    """Objects in use whose retention was renewed, as the settings ask."""
    unretained: int = 0
    """Objects in use whose retention could not be renewed."""
    rewritten_packs: int = 0
    """Packs whose files were put into others, since few were needed or the packs were small."""
    written_packs: int = 0
    """The packs they were put into."""
    moved_bytes: int = 0
    freed_bytes: int = 0
    """Bytes that are free once the packs they lay in are gone."""
    packs_left: int = 0
    """Packs that wait for a later run, since this one had enough to move."""
    damaged: tuple[StaysInPack, ...] = ()
    """LR files that stay in their old packs, since they are not what their rows say."""
    networks: int = 0
    """Networks that rows name and that were put into the archive, which lacked them."""
    deleted: bool = True
    """Whether that was removed which is counted; False of a dry run, and where the credentials may
    not delete."""


@flow(name="maintain")
def maintain(
    archive: Address, grace: str = "7d", dry_run: bool = False, repack: bool = True
) -> MaintainSummary:
    """Remove what nothing needs any more, add what restoring needs, and compact the catalog.

    Args:
        archive: URL or path of the archive.
        grace: Younger things stay, whether needed or not; such as 36h, 7d or 2w.
        dry_run: Count what would be removed and do nothing.
        repack: Write packs again of which rows name little, and join small ones.

    Raises:
        UsageError: No archive there, a grace period below an hour, a catalog that names nothing.
        StorageError: The store fails, or its listing is not complete.
    """
    check_request(check, Request(archive=archive, grace=grace))
    period = parse_grace(grace)
    catalog = open_archive(archive)
    store = open_store(archive)
    run = Run("maintain", MaintainTally(), {"grace": grace})
    before = maintenance.cutoff(period)
    deleting = not dry_run and maintenance.may_delete(store)
    keys = maintenance.find_garbage(store, catalog, before)
    run.add(maintenance.remove_garbage(store, keys, before, dry_run=not deleting), "garbage")
    run.add(maintenance.remove_unfinished(store, before, dry_run=not deleting), "unfinished")
    if deleting:
        maintenance.forget_emptied(store, before)
    if repack:
        rewrites = find_rewrites(store, catalog)
        # What may not be deleted would lie there twice.
        done = rewrite_packs(rewrites, store, catalog) if deleting else would_rewrite(rewrites)
        run.add(done, "repack")
    run.add(extend_retention(store, catalog, dry_run=dry_run), "retention")
    if not dry_run:
        run.add(maintenance.keep_networks(store, catalog), "networks")
        run.record(catalog)  # before the table of runs is compacted
    tables = maintenance.keep_tables_up(catalog, period, dry_run=dry_run, may_delete=deleting)
    run.add(MaintainTally(**asdict(tables)), "tables")
    if not dry_run:
        maintenance.note_digests(store, run.run_id)
        maintenance.tell_of_versions(store)
        run.publish()
    return MaintainSummary(
        run_id=None if dry_run else run.run_id,
        removed_objects=run.tally.removed_objects,
        removed_bytes=run.tally.removed_bytes,
        unfinished=run.tally.unfinished,
        tables=tables,
        locked=run.tally.locked,
        retained=run.tally.retained,
        unretained=run.tally.unretained,
        rewritten_packs=run.tally.rewritten_packs,
        written_packs=run.tally.written_packs,
        moved_bytes=run.tally.moved_bytes,
        freed_bytes=run.tally.freed_bytes,
        packs_left=run.tally.packs_left,
        damaged=run.tally.damaged,
        networks=run.tally.networks,
        deleted=deleting,
    )
