"""What is restored of the sources asked for, and from what."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rescaling_core.errors import UsageError
from rescaling_core.plan import OWN_FILE, Target
from tasks.catalog import LIGHT, Archived, Catalog, CatalogRow, open_catalog
from tasks.catalog.history import (
    History,
    can_be_restored,
    matching_histories,
    rendition_of,
)
from tasks.catalog.query import is_glob
from tasks.cluster.workers import Lost, Workers
from tasks.jobs.restore.requests import NotRestored, Restored, RestoreRequest
from tasks.renditions.names import output_names
from tasks.storage import open_store

READ_AT_ONCE = 1000
"""Renditions whose restoration metadata are read from the catalog together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The rendition a source is to be restored from, and where to: little enough for millions."""

    source_key: str
    target: str
    output_key: str


def choose(
    archive_url: str,
    keys: Sequence[str],
    where: str | None,
    target: str | None,
    earlier: bool = False,
    format: str = "png",
) -> tuple[list[Chosen], list[NotRestored]]:
    """Choose one rendition for each source asked for.

    Args:
        archive_url: Where to restore from.
        keys: Source keys or globs; empty for all.
        where: SQL condition that the row of the rendition has to fulfil.
        target: Only renditions of this target.
        earlier: Whether a source of whose last version nothing is restorable is restored from a
            rendition of an earlier version.
        format: What restored files are written as, which decides their names.

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
    for history, matching in matching_histories(catalog, where, keys=keys, columns=LIGHT):
        wanted = matching if target is None else matching & {target}
        row = rendition_of(history, wanted, earlier=earlier)
        if row is not None:
            best[history.key] = row.target, row.rescaler in OWN_FILE
        asked.note(history, wanted, restorable=row is not None)
    names = output_names(best, {key for key, (_, exact) in best.items() if exact}, format)
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

    def note(self, history: History, wanted: Collection[str], *, restorable: bool) -> None:
        """Take down what the catalog has of a source, for the targets that are wanted."""
        key_of_source = history.key
        patterns = {key for key in self._globs if fnmatchcase(key_of_source, key)}
        for key in patterns | ({key_of_source} & self._why.keys()):
            why = self._why[key]
            if restorable or why is None:
                self._why[key] = None
            else:
                current = history.current
                why |= {_instead(row) for row in current if row not in history.restorable}
                why |= {f"only as {row.target}" for row in history.restorable}
                why |= {
                    f"{row.target} is of an earlier version of it: --earlier restores that"
                    for row in history.earlier
                    if row.target in wanted and can_be_restored(row)
                }

    def missing(self) -> list[NotRestored]:
        """Those that nothing is restored for, in the order they were given."""
        return [
            NotRestored(source_key=key, reason="; ".join(sorted(why)) or "not in the catalog")
            for key, why in self._why.items()
            if why is not None
        ]


def _instead(row: CatalogRow) -> str:
    """What there is in place of a rendition to restore from."""
    return f"only as {row.target}" if isinstance(row, Archived) else f"{row.state} ({row.reason})"


def requests_of(catalog: Catalog, chosen: Sequence[Chosen]) -> Iterator[RestoreRequest]:
    """What a worker needs to know of each, read from the catalog as it is needed.

    Args:
        catalog: The archive's.
        chosen: By source key, as `choose` gives them.
    """
    for start in range(0, len(chosen), READ_AT_ONCE):
        part = {one.source_key: one for one in chosen[start : start + READ_AT_ONCE]}
        for row in catalog.rows(sources=list(part)):
            one = part[row.source_key]
            if row.target == one.target and isinstance(row, Archived):
                yield RestoreRequest(
                    source_key=row.source_key,
                    place=row.place,
                    metadata_json=row.metadata_json or "",
                    output_key=one.output_key,
                )


def outcomes_of(
    catalog: Catalog,
    chosen: Sequence[Chosen],
    pool: Workers[RestoreRequest, Restored | NotRestored],
) -> Iterator[Restored | NotRestored]:
    """Restore what was chosen; what goes wrong with a rendition is its own outcome.

    Args:
        catalog: Of the archive.
        chosen: By source key, as `choose` gives them.
        pool: Of `Restorer`.
    """
    there = set()
    for result in pool.run(requests_of(catalog, chosen)):
        if isinstance(result, Lost):
            outcome: Restored | NotRestored = NotRestored(
                source_key=result.job.source_key, reason=result.reason
            )
        else:
            outcome = result
        there.add(outcome.source_key)
        yield outcome
    for one in chosen:
        if one.source_key not in there:
            reason = "its row left the catalog meanwhile"
            yield NotRestored(source_key=one.source_key, reason=reason)
