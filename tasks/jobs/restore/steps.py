"""The steps of a restore run, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task

from tasks.catalog import open_catalog
from tasks.cluster.workers import Workers
from tasks.collection.access import refuse_inside_archive
from tasks.control.retries import RETRIED
from tasks.control.run import Wave
from tasks.jobs.restore.choosing import Chosen, choose, outcomes_of
from tasks.jobs.restore.requests import NotRestored, Restored, RestoreRequest
from tasks.jobs.restore.tally import RestoreTally
from tasks.storage import open_store

REQUESTS_PER_WAVE = 16
"""At least."""


@task(name="select renditions", **RETRIED)
def select_renditions(
    archive_url: str,
    keys: Sequence[str],
    where: str | None,
    target: str | None,
    earlier: bool = False,
    format: str = "png",
) -> tuple[list[Chosen], list[NotRestored]]:
    """Choose one rendition for each source asked for; see `choose`."""
    return choose(archive_url, keys, where, target, earlier, format)


@task(name="open destination", **RETRIED)
def open_destination(url: str, archive_url: str) -> None:
    """Refuse a destination that cannot be written to before any work starts.

    Raises:
        UsageError: A wrong URL, or a place inside the archive.
    """
    refuse_inside_archive(open_store(url), open_store(archive_url))


@task(name="restore wave", task_run_name="restore wave {wave.number}", **RETRIED)
def restore_wave(
    wave: Wave[Chosen], archive_url: str, pool: Workers[RestoreRequest, Restored | NotRestored]
) -> RestoreTally:
    """Restore one wave; see `outcomes_of`."""
    catalog = open_catalog(open_store(archive_url), create=False)
    outcomes = []
    for outcome in outcomes_of(catalog, wave.items, pool):
        outcomes.append(outcome)
        wave.report("restore", len(outcomes))
    return RestoreTally.of(outcomes)
