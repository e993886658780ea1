"""Restoring a few sources by themselves: neither Prefect nor Ray is started for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.catalog import Catalog, open_catalog
from tasks.cluster.workplace import is_small, workplace
from tasks.collection.access import refuse_inside_archive
from tasks.control.heard import is_heard_of
from tasks.control.progress import Progress, report
from tasks.jobs.restore.check import Request, restored_format
from tasks.jobs.restore.choosing import Chosen, choose, outcomes_of
from tasks.jobs.restore.requests import NotRestored, RestorationJob, Restored
from tasks.jobs.restore.tally import RestoreTally
from tasks.storage import open_store

QUICKLY_CHOSEN = 10_000
"""Rows of a catalog that is searched twice without regret: here, and again by the flow."""


@dataclass(frozen=True, slots=True)
class Few:
    """What is to be restored, where it is little."""

    request: Request
    catalog: Catalog
    chosen: Sequence[Chosen]
    missing: Sequence[NotRestored]
    """Keys asked for by name that nothing can be restored for."""


def find_few(request: Request, *, earlier: bool = False) -> Few | None:
    """Find what is asked for, if that is little.

    Args:
        request: What was asked for, and found to be possible by `check`.
        earlier: Restore earlier versions of sources of whose last nothing can be restored.

    Returns:
        None where the flow has to do it: it is much, or the owner has runs recorded or names a
        cluster.

    Raises:
        UsageError: The destination lies inside the archive.
        StorageError: A store failed.
    """
    if is_heard_of():
        return None
    catalog = open_catalog(open_store(request.archive), create=False)
    if catalog.row_count() > QUICKLY_CHOSEN:
        return None
    chosen, missing = choose(
        request.archive,
        request.keys,
        request.where,
        request.target,
        earlier,
        restored_format(request.format),
    )
    if not is_small(len(chosen)):
        return None
    refuse_inside_archive(open_store(request.dest), catalog.store)
    return Few(request, catalog, chosen, missing)


def restore_few(few: Few, *, overwrite: bool = False, thaw: bool = False) -> RestoreTally:
    """Restore it. Every check is the flow's, and processes that can die or hang alone do the work.

    Args:
        few: What `find_few` found.
        overwrite: Replace files that lie there with other content.
        thaw: Ask for what lies in a cold class to be thawed.

    Raises:
        StorageError: A store failed. What is restored by then stays.
    """
    total = len(few.chosen)
    if not total:
        return RestoreTally.of(few.missing)
    job = RestorationJob(
        archive_url=few.request.archive,
        destination_url=few.request.dest,
        overwrite=overwrite,
        format=restored_format(few.request.format),
        thaw=thaw,
    )
    outcomes: list[Restored | NotRestored] = list(few.missing)
    with workplace(total) as place, place.pool(_restorer, "restore", (job,), jobs=total) as pool:
        for done, outcome in enumerate(outcomes_of(few.catalog, few.chosen, pool), 1):
            outcomes.append(outcome)
            report(Progress(step="restore", done=done, total=total))
    return RestoreTally.of(outcomes)


def _restorer(job: RestorationJob) -> object:
    """A `Restorer`, whose networks only the process that has it imports."""
    from tasks.jobs.restore.worker import Restorer

    return Restorer(job)
