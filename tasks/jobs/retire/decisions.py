"""What may be done with a source, from what is recorded of it alone. Pure: no clock, no storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from tasks.catalog import Archived
from tasks.catalog.history import History
from tasks.storage.versions import same_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tasks.catalog import CatalogRow
    from tasks.catalog.journal import Entry
    from tasks.collection.shards import SourceObject

Ground = Literal[
    "cannot be read",
    "never archived",
    "kept",
    "quarantined",
    "changed",
    "previews only",
    "archived too recently",
    "moved already",
]
"""Why a source stays, whatever its renditions are like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an owner asked for, as points in time."""

    archived_before: datetime
    """All renditions of a source must have been committed before."""
    marked_before: datetime
    """It must have been marked before, to be deleted or moved."""
    to_class: str | None = None
    """The storage class that sources are moved to; None: they are deleted."""


@dataclass(frozen=True, slots=True)
class Stays:
    """The source is not touched."""

    ground: Ground


@dataclass(frozen=True, slots=True)
class Waits:
    """It is marked, and its grace period is not over."""

    mark: Entry


@dataclass(frozen=True, slots=True)
class MayGo:
    """It may be marked, or deleted, if its renditions prove sound."""

    rows: tuple[Archived, ...]
    """All of its renditions, previews too."""
    mark: Entry | None
    """The mark whose grace period is over; None if it is to be marked."""


NEVER_READ: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes from which nothing can be read, and so nothing be proven once more."""

Verdict = Stays | Waits | MayGo


def judge(
    listed: SourceObject,
    rows: Sequence[CatalogRow],
    mark: Entry | None,
    terms: Terms,
    moved: Entry | None = None,
) -> Verdict:
    """Decide on one source.

    Args:
        listed: As it lies in storage now.
        rows: All rows of the catalog that have its key.
        mark: The mark that stands, see `standing_mark`.
        terms: What was asked for.
        moved: That it was moved to another class, see `last_moves`.
    """
    if moved is not None and _is_listed(moved.source_etag, moved.source_size, listed):
        where = moved.storage_class
        if where in NEVER_READ or where == terms.to_class:
            return Stays("moved already")
    if ground := _ground_to_stay(listed, rows, terms):
        return Stays(ground)
    renditions = tuple(row for row in rows if isinstance(row, Archived))  # all, by now
    if mark is None or not _is_of(mark, listed, rows):
        return MayGo(renditions, None)
    if mark.at >= terms.marked_before:
        return Waits(mark)
    return MayGo(renditions, mark)


def _ground_to_stay(
    listed: SourceObject, rows: Sequence[CatalogRow], terms: Terms
) -> Ground | None:
    states = {row.state for row in rows}
    if listed.trouble is not None:
        return "cannot be read"
    if not rows:
        return "never archived"
    if "quarantined" in states:
        return "quarantined"
    if "kept" in states:
        return "kept"
    # Rows of earlier versions count as well: a target of the plan was not made of this one.
    if not all(_is_listed(row.source_etag, row.source_size, listed) for row in rows):
        return "changed"
    if not History.of(rows).relied_on:
        return "previews only"
    if any(row.committed_at is None or row.committed_at >= terms.archived_before for row in rows):
        return "archived too recently"
    return None


def _is_of(mark: Entry, listed: SourceObject, rows: Sequence[CatalogRow]) -> bool:
    """Whether a mark was set on this very source, for these very renditions."""
    proven = {proof.rendition for proof in mark.proofs}
    relied = {(row.target, row.lr_key, row.lr_sha256) for row in History.of(rows).relied_on}
    return _is_listed(mark.source_etag, mark.source_size, listed) and proven == relied


def _is_listed(etag: str, size: int, listed: SourceObject) -> bool:
    """Whether something was recorded of the version of a source that is listed now."""
    return size == listed.size and same_version(etag, listed.etag)


def standing_marks(entries: Iterable[Entry]) -> dict[str, Entry]:
    """The mark that stands for each source.

    Args:
        entries: Of one collection, the earliest first. A `deleting` or `moving` leaves the mark
            standing: it may not have come to that.
    """
    marks: dict[str, Entry] = {}
    for entry in entries:
        if entry.event == "marked":
            marks[entry.source_key] = entry
        elif entry.event in ("released", "deleted", "moved"):
            marks.pop(entry.source_key, None)
    return marks


def last_moves(entries: Iterable[Entry]) -> dict[str, Entry]:
    """The last move of each source that was moved to another storage class.

    Args:
        entries: Of one collection, the earliest first.
    """
    return {entry.source_key: entry for entry in entries if entry.event == "moved"}
