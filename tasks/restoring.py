"""The steps of a restore run, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from prefect import task

from rescaling_core.errors import UsageError
from rescaling_core.plan import TRANSCODE, Target
from tasks import progress, waves
from tasks.catalog import CatalogRow, open_catalog
from tasks.cluster import Lost, WorkerPool
from tasks.progress import Progress
from tasks.restoration import NotRestored, Restored, RestoreRequest, output_names
from tasks.retrying import RETRIED
from tasks.rows import trust
from tasks.storage import open_store

REQUESTS_PER_WAVE = 16
"""At least."""


@task(name="select renditions", **RETRIED)
def select_renditions(
    archive_url: str, keys: Sequence[str], where: str | None, target: str | None
) -> tuple[list[RestoreRequest], list[NotRestored]]:
    """Choose one rendition for each source asked for.

    Returns:
        What to restore, and the keys asked for by name that nothing can be restored for.

    Raises:
        UsageError: No archive there, a wrong condition, or a preview as target.
    """
    if target is not None and Target.parse(target).preview_only:
        raise UsageError(f"target {target}: a preview, which nothing can be restored from")
    catalog = open_catalog(open_store(archive_url), create=False)
    rows = [
        row
        for row in catalog.rows(where=where)
        if not keys or any(_matches(row.source_key, key) for key in keys)
    ]
    best: dict[str, CatalogRow] = {}
    for row in rows:
        if row.psnr_y is None or row.state != "archived" or target not in (None, row.target):
            continue
        known = best.get(row.source_key)
        if known is None or trust(known) < trust(row):
            best[row.source_key] = row
    names = output_names(best, {key for key, row in best.items() if row.rescaler == TRANSCODE})
    requests = [
        RestoreRequest(
            source_key=key,
            lr_key=row.lr_key or "",
            lr_sha256=row.lr_sha256 or "",
            metadata_json=row.metadata_json or "",
            output_key=names[key],
        )
        for key, row in sorted(best.items())
    ]
    return requests, _missing(keys, rows, best)


def _matches(key: str, pattern: str) -> bool:
    return key == pattern or fnmatchcase(key, pattern)


def _missing(
    keys: Sequence[str], rows: Sequence[CatalogRow], best: dict[str, CatalogRow]
) -> list[NotRestored]:
    """Say of every key asked for why nothing is restored for it."""
    missing = []
    for key in keys:
        if any(_matches(found, key) for found in best):
            continue
        states = {
            f"{row.state} ({row.reason})" if row.reason else f"only as {row.target}"
            for row in rows
            if _matches(row.source_key, key)
        }
        reason = "; ".join(sorted(states)) or "not in the catalog"
        missing.append(NotRestored(source_key=key, reason=reason))
    return missing


@task(name="open destination", **RETRIED)
def open_destination(url: str) -> None:
    """Refuse a destination that cannot be written to before any work starts.

    Raises:
        UsageError: A wrong URL.
    """
    open_store(url)


def waves_of(requests: Sequence[RestoreRequest]) -> Iterator[Sequence[RestoreRequest]]:
    """Cut the requests of a run into waves."""
    return waves.waves_of(requests, at_least=REQUESTS_PER_WAVE)


@task(name="restore wave", task_run_name="restore wave {number}", **RETRIED)
def restore_wave(
    number: int,
    requests: Sequence[RestoreRequest],
    pool: WorkerPool[RestoreRequest, Restored | NotRestored],
    total: int,
) -> list[Restored | NotRestored]:
    """Restore one wave; what goes wrong with a rendition is its own outcome."""
    before = (number - 1) * len(requests)
    outcomes: list[Restored | NotRestored] = []
    for result in pool.run(requests):
        if isinstance(result, Lost):
            outcomes.append(NotRestored(source_key=result.job.source_key, reason=result.reason))
        else:
            outcomes.append(result)
        progress.report(Progress(step="restore", done=before + len(outcomes), total=total))
    return outcomes
