"""The steps that write packs again, as Prefect tasks."""

from __future__ import annotations

from prefect import task

from tasks.catalog import Catalog
from tasks.control import progress
from tasks.control.logs import run_log
from tasks.control.progress import Progress
from tasks.control.retries import RETRIED
from tasks.jobs.maintain.tally import MaintainTally
from tasks.renditions import packs
from tasks.renditions.emptied import note_emptied
from tasks.renditions.packs import pack_size
from tasks.renditions.repacking import files_of, packs_in_use, repack
from tasks.renditions.rewrites import MOVED_AT_MOST, Rewrite, Rewrites, rewrites_of
from tasks.storage import Store


@task(name="find packs to write again", **RETRIED)
def find_rewrites(archive: Store, catalog: Catalog, *, bound: int = MOVED_AT_MOST) -> Rewrites:
    """Choose the packs of which rows name little, and the small ones that can be joined.

    Args:
        archive: They lie in.
        catalog: Of the archive.
        bound: Bytes that may be moved.

    Raises:
        StorageError: The listing could not be completed, or the catalog cannot be read.
    """
    sizes = {info.key: info.size for info in archive.list(packs.PREFIX)}
    return rewrites_of(packs_in_use(catalog, sizes), bound=bound) if sizes else Rewrites()


@task(name="write packs again", **RETRIED)
def rewrite_packs(rewrites: Rewrites, archive: Store, catalog: Catalog) -> MaintainTally:
    """Put the files of packs that rows name into others, and commit where they lie now.

    The old packs stay for those who read them, and go with a later run, as all that no row names.
    Killed at any moment, a run leaves rows that name sound files, in the old packs or the new ones.

    Raises:
        RefoldError: The store does not give back what was written.
        StorageError: The store failed.
    """
    tally = MaintainTally(packs_left=rewrites.left)
    for rewrite in rewrites.chosen:
        tally += _rewritten(rewrite, archive, catalog)
        progress.report(Progress(step="clean", done=tally.rewritten_packs, total=None))
    return tally


def would_rewrite(rewrites: Rewrites) -> MaintainTally:
    """What there is to do, counted."""
    return sum(map(_planned, rewrites.chosen), MaintainTally(packs_left=rewrites.left))


def _planned(rewrite: Rewrite) -> MaintainTally:
    return MaintainTally(
        rewritten_packs=len(rewrite.packs),
        written_packs=1,
        moved_bytes=rewrite.moved,
        freed_bytes=rewrite.freed,
    )


def _rewritten(rewrite: Rewrite, archive: Store, catalog: Catalog) -> MaintainTally:
    files = files_of(catalog, rewrite)
    if not files:  # an earlier try of this step came so far
        return _planned(rewrite)
    done = repack(archive, rewrite.target, files)
    if not done.moves:
        return MaintainTally(damaged=done.stay)
    note_emptied(archive, done.emptied)
    catalog.move_files(done.moves)
    new = done.moves[0].pack_key
    run_log().info(
        "moved %d LR files from %d packs into %s", len(done.moves), len(done.emptied), new
    )
    gone = [one.size for one in rewrite.packs if one.key not in done.kept]
    return MaintainTally(
        rewritten_packs=len(gone),
        written_packs=1,
        moved_bytes=done.moved,
        freed_bytes=max(0, sum(gone) - pack_size(done.moved)),
        damaged=done.stay,
    )
