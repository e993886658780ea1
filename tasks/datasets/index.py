"""Which rendition of each source a dataset reads: chosen once, and little enough for millions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from rescaling_core.errors import UsageError
from tasks.catalog import LIGHT, Archived, Catalog
from tasks.catalog.history import History, matching_histories, rendition_of
from tasks.catalog.place import LrPlace

_PLACE: Final = [
    ("lr_key", pa.large_string()),
    ("lr_bytes", pa.int64()),
    ("lr_sha256", pa.large_string()),
    ("pack_key", pa.large_string()),
    ("pack_offset", pa.int64()),
]
_SCHEMA: Final = pa.schema(
    [("source_key", pa.large_string()), ("target", pa.large_string()), *_PLACE]
)
_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """The rendition that one source is read from."""

    source_key: str
    target: str
    place: LrPlace

    @property
    def identity(self) -> bytes:
        """What digests of several entries are made from, the same from release to release."""
        names = {"source_key": self.source_key, "target": self.target}
        names |= {"lr_key": self.place.lr_key, "lr_sha256": self.place.lr_sha256}
        text = ", ".join(f"{name}={value!r}" for name, value in names.items())
        return f"Entry({text})\n".encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Index:
    """All that a dataset reads, by source key. It travels to workers."""

    table: pa.Table
    """The fields of `Entry` and of its place as columns: about 200 bytes a source."""
    digest: str
    """Of all of it: two datasets of the same digest read the same files."""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, at: int) -> Entry:
        source_key, target, *place = (column[at].as_py() for column in self.table.columns)
        names = (name for name, _ in _PLACE)
        return Entry(source_key, target, LrPlace(**dict(zip(names, place, strict=True))))


def index_of(
    catalog: Catalog, where: str | None, target: str | None, *, previews_too: bool
) -> Index:
    """Choose the renditions.

    Args:
        catalog: Of the archive.
        where: SQL condition that the row of a rendition has to fulfil; None for all.
        target: Only renditions of this target.
        previews_too: Whether a preview will do where nothing is restorable.

    Raises:
        UsageError: The condition is wrong, or nothing is left.
        StorageError: The catalog cannot be read.
    """
    parts: list[pa.Table] = []
    waiting: list[Entry] = []
    digest = hashlib.sha256()
    for row in chosen_rows(catalog, where, target, previews_too=previews_too):
        entry = Entry(row.source_key, row.target, row.place)
        digest.update(entry.identity)
        waiting.append(entry)
        if len(waiting) == _AT_ONCE:
            parts.append(_table(waiting))
            waiting = []
    parts.append(_table(waiting))
    table = pa.concat_tables(parts).combine_chunks()
    if not table.num_rows:
        asked = [f"target {target}"] * (target is not None) + [f"where {where}"] * bool(where)
        raise UsageError(
            f"{catalog.store.url}: no image to read"
            + (f" ({'; '.join(asked)})" if asked else "")
            + ("" if previews_too else '; previews can be read with size="lr" alone')
        )
    return Index(table, digest.hexdigest())


def chosen_rows(
    catalog: Catalog,
    where: str | None,
    target: str | None,
    *,
    keys: Sequence[str] = (),
    previews_too: bool,
) -> Iterator[Archived]:
    """The row that each source is read from, by source key, without its metadata.

    Args:
        catalog: Of the archive.
        where: As for `index_of`.
        target: As for `index_of`.
        keys: Source keys or globs; empty for all.
        previews_too: As for `index_of`.
    """
    for history, matching in matching_histories(catalog, where, keys=keys, columns=LIGHT):
        wanted = matching if target is None else matching & {target}
        row = rendition_of(history, wanted)
        if row is None and previews_too:
            row = _largest(history, wanted)
        if row is not None:
            yield row


def _largest(history: History, targets: Collection[str]) -> Archived | None:
    """The current LR file with the most pixels, of some targets."""
    usable = [row for row in history.archived if row.target in targets]
    return min(usable, key=lambda row: row.scale, default=None)


def _table(entries: list[Entry]) -> pa.Table:
    columns: list[list[Any]] = [
        [one.source_key for one in entries],
        [one.target for one in entries],
        *([getattr(one.place, name) for one in entries] for name, _ in _PLACE),
    ]
    return pa.table(columns, schema=_SCHEMA)
