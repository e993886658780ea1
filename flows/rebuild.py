"""The rebuild job: the catalog again, from LR objects that describe themselves."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow

from tasks.control import opening
from tasks.control.run import Run
from tasks.jobs.rebuild import steps as rebuilding
from tasks.jobs.rebuild.check import Request, check
from tasks.jobs.rebuild.steps import COMMIT_ROWS
from tasks.jobs.rebuild.tally import RebuildTally, Unreadable
from tasks.storage.addresses import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildSummary:
    """What a run found. added + present + unreadable = listed."""

    run_id: str
    listed: int
    """LR files, the newest of each source and target, and damaged parts of packs."""
    added: int
    """Rows written."""
    present: int
    """Rows the catalog had already."""
    unreadable: tuple[Unreadable, ...]
    networks: int = 0
    """Networks that the rows name."""
    missing_networks: tuple[str, ...] = ()
    """Those that the archive does not hold, or holds damaged, and why."""


@flow(name="rebuild")
def rebuild(archive: Address) -> RebuildSummary:
    """Write the catalog rows that are missing for the LR objects of an archive.

    Rows that are there stay as they are, so that it may be run at any time and again.

    Args:
        archive: URL or path of the archive; its catalog may have been deleted.

    Raises:
        UsageError: No archive there.
        StorageError: The store fails, or its listing is not complete.
    """
    opening.check_request(check, Request(archive=archive))
    catalog = opening.open_archive(archive, prove=True, lost=True)
    store = catalog.store
    found = rebuilding.find_lr_files(store)
    catalog.create()
    run = Run("rebuild", RebuildTally(), {})
    run.add(RebuildTally(unreadable=found.unreadable), "packs")
    files = found.files
    for wave in run.waves(files, cut=len(files), at_least=COMMIT_ROWS, total=len(files)):
        run.add(rebuilding.rebuild_wave(wave, store, catalog, run.run_id))
    run.record(catalog)
    run.publish()
    networks, missing = rebuilding.count_networks(store, catalog)
    return RebuildSummary(
        run_id=run.run_id,
        listed=run.tally.done,
        added=run.tally.added,
        present=run.tally.present,
        unreadable=run.tally.unreadable,
        networks=networks,
        missing_networks=missing,
    )
