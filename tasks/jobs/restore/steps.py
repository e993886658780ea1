"""The steps of a restore run, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby

from prefect import task

from rescaling_core.errors import UsageError
from rescaling_core.plan import TRANSCODE, Target
from tasks.catalog import LIGHT, Catalog, CatalogRow, open_catalog
from tasks.catalog.history import trust
from tasks.catalog.query import is_glob
from tasks.cluster.pool import Lost
from tasks.cluster.workers import Workers
from tasks.control.retries import RETRIED
from tasks.control.run import Wave
from tasks.jobs.restore.names import output_names
from tasks.jobs.restore.tally import RestoreTally
from tasks.jobs.restore.worker import NotRestored, Restored, RestoreRequest
from tasks.storage import open_store

REQUESTS_PER_WAVE = 16
"""At least."""

READ_AT_ONCE = 1000
"""Renditions whose restoration metadata are read from the catalog together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The rendition a source is to be restored from, and where to: little enough for millions."""

    source_key: str
    target: str
    output_key: str


@task(name="select renditions", **RETRIED)
def select_renditions(
    archive_url: str, keys: Sequence[str], where: str | None, target: str | None
) -> tuple[list[Chosen], list[NotRestored]]:
    """Choose one rendition for each source asked for.

    Returns:
        What to restore, by source key, and the keys asked for by name that nothing can be restored
        for.

    Raises:
        UsageError: No archive there, a wrong condition, or a preview as target.
    """
    if target is not None and Target.parse(target).preview_only:
        raise UsageError(f"target {target}: a preview, which nothing can be restored from")
    catalog = open_catalog(open_store(archive_url), create=False)
    asked = Asked(keys)
    best: dict[str, tuple[str, bool]] = {}
    found = catalog.rows(where, keys=keys, columns=LIGHT)
    for key, group in groupby(found, key=lambda row: row.source_key):
        rows = list(group)
        usable = [
            row
            for row in rows
            if row.psnr_y is not None and row.state == "archived" and target in (None, row.target)
        ]
        if usable:
            row = max(usable, key=trust)
            best[key] = row.target, row.rescaler == TRANSCODE
        asked.note(key, rows, restorable=bool(usable))
    names = output_names(best, {key for key, (_, exact) in best.items() if exact})
    chosen = [
        Chosen(source_key=key, target=name, output_key=names[key])
        for key, (name, _) in best.items()
    ]
    return chosen, asked.missing()


class Asked:
    """The keys and globs asked for, and why nothing is restored for some."""

    def __init__(self, keys: Sequence[str]) -> None:
        """As the user gave them."""
        self._why: dict[str, set[str] | None] = {key: set() for key in keys}
        """What was found instead; None where there is something to restore."""
        self._globs = [key for key in keys if is_glob(key)]

    def note(self, source_key: str, rows: Sequence[CatalogRow], *, restorable: bool) -> None:
        """Take down what the catalog has of a source."""
        patterns = {key for key in self._globs if fnmatchcase(source_key, key)}
        for key in patterns | ({source_key} & self._why.keys()):
            why = self._why[key]
            if restorable or why is None:
                self._why[key] = None
            else:
                why |= {
                    f"{row.state} ({row.reason})" if row.reason else f"only as {row.target}"
                    for row in rows
                }

    def missing(self) -> list[NotRestored]:
        """Those that nothing is restored for, in the order they were given."""
        return [
            NotRestored(source_key=key, reason="; ".join(sorted(why)) or "not in the catalog")
            for key, why in self._why.items()
            if why is not None
        ]


def requests_of(catalog: Catalog, chosen: Sequence[Chosen]) -> Iterator[RestoreRequest]:
    """What a worker needs to know of each, read from the catalog as it is needed.

    Args:
        catalog: The archive's.
        chosen: By source key, as `select_renditions` gives them.
    """
    for start in range(0, len(chosen), READ_AT_ONCE):
        part = {one.source_key: one for one in chosen[start : start + READ_AT_ONCE]}
        for row in catalog.rows(sources=list(part)):
            one = part[row.source_key]
            if row.target == one.target:
                yield RestoreRequest(
                    source_key=row.source_key,
                    lr_key=row.lr_key or "",
                    lr_sha256=row.lr_sha256 or "",
                    metadata_json=row.metadata_json or "",
                    output_key=one.output_key,
                )


@task(name="open destination", **RETRIED)
def open_destination(url: str) -> None:
    """Refuse a destination that cannot be written to before any work starts.

    Raises:
        UsageError: A wrong URL.
    """
    open_store(url)


@task(name="restore wave", task_run_name="restore wave {wave.number}", **RETRIED)
def restore_wave(
    wave: Wave[Chosen], archive_url: str, pool: Workers[RestoreRequest, Restored | NotRestored]
) -> RestoreTally:
    """Restore one wave; what goes wrong with a rendition is its own outcome.

    Args:
        wave: What to restore.
        archive_url: Where from.
        pool: Of `Restorer`.
    """
    catalog = open_catalog(open_store(archive_url), create=False)
    outcomes: list[Restored | NotRestored] = []
    for result in pool.run(requests_of(catalog, wave.items)):
        if isinstance(result, Lost):
            outcomes.append(NotRestored(source_key=result.job.source_key, reason=result.reason))
        else:
            outcomes.append(result)
        wave.report("restore", len(outcomes))
    there = {outcome.source_key for outcome in outcomes}
    gone = [
        NotRestored(source_key=one.source_key, reason="its row left the catalog meanwhile")
        for one in wave.items
        if one.source_key not in there
    ]
    return RestoreTally.of([*outcomes, *gone])
