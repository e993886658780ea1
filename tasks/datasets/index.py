"""Which rendition of each source a dataset reads: chosen once, and little enough for millions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from rescaling_core.errors import UsageError
from tasks.catalog import LIGHT, Archived, Catalog
from tasks.catalog.history import History, matching_histories, rendition_of

_SCHEMA: Final = pa.schema(
    [(name, pa.large_string()) for name in ("source_key", "target", "lr_key", "lr_sha256")]
)
_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """The rendition that one source is read from."""

    source_key: str
    target: str
    lr_key: str
    lr_sha256: str


@dataclass(frozen=True, slots=True)
class Index:
    """All that a dataset reads, by source key. It travels to workers."""

    table: pa.Table
    """The fields of `Entry` as columns: about 200 bytes a source."""
    digest: str
    """Of all of it: two datasets of the same digest read the same files."""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, at: int) -> Entry:
        return Entry(*(column[at].as_py() for column in self.table.columns))


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
        entry = Entry(row.source_key, row.target, row.lr_key, row.lr_sha256)
        digest.update(f"{entry}\n".encode("utf-8", "surrogatepass"))
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
    columns = {name: [getattr(one, name) for one in entries] for name in _SCHEMA.names}
    return pa.table(columns, schema=_SCHEMA)
