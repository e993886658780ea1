"""The rebuild job: the catalog again, from LR objects that describe themselves."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from prefect import flow

from tasks.catalog import open_catalog
from tasks.control import opening
from tasks.control.artifacts import publish
from tasks.control.record import Counts, JobRun, new_run_id, record_job
from tasks.jobs.rebuild import steps as rebuilding
from tasks.jobs.rebuild.steps import RebuildTally, Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildSummary:
    """What a run found. added + present + unreadable = listed."""

    run_id: str
    listed: int
    """LR objects, the newest of each source and target."""
    added: int
    """Rows written."""
    present: int
    """Rows the catalog had already."""
    unreadable: tuple[Unreadable, ...]


@flow(name="rebuild")
def rebuild(archive: str) -> RebuildSummary:
    """Write the catalog rows that are missing for the LR objects of an archive.

    Rows that are there stay as they are, so that it may be run at any time and again.

    Args:
        archive: URL or path of the archive; its catalog may have been deleted.

    Raises:
        UsageError: No archive there.
        StorageError: The store fails, or its listing is not complete.
    """
    store = opening.open_store_for_writing(archive)
    keys = rebuilding.find_lr_objects(store)
    catalog = open_catalog(store)
    run = JobRun(job="rebuild", run_id=new_run_id(), parameters={})
    tally = RebuildTally()
    for number, wave in enumerate(rebuilding.waves_of(keys), 1):
        rebuilding.rebuild_wave(number, wave, store, catalog, run.run_id, tally, len(keys))
    counts = Counts(
        listed=len(keys),
        archived=tally.added,
        quarantined=len(tally.unreadable),
        unchanged=tally.present,
        stored_bytes=tally.stored_bytes,
    )
    record_job(catalog, run, counts)
    publish(
        run.job,
        run.run_id,
        {
            "LR objects": len(keys),
            "rows added": tally.added,
            "rows there already": tally.present,
            "unreadable": len(tally.unreadable),
        },
        list(map(asdict, tally.unreadable)),
    )
    return RebuildSummary(
        run_id=run.run_id,
        listed=len(keys),
        added=tally.added,
        present=tally.present,
        unreadable=tuple(tally.unreadable),
    )
