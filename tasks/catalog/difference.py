"""What a listing holds that the catalog has not: new, changed, or doubtful sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from tasks.storage.versions import bare_mark, is_bare, same_version

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD: Final = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("done", pa.bool_()),
        pa.field("lowest", pa.string()),
        pa.field("highest", pa.string()),
        pa.field("sha256", pa.string()),
    ]
)
"""Of sources that have a row, whatever it is: whether every wanted target has one that counts; of
these rows the lowest and the highest etag (equal where all were made of one version), and the
SHA-256 if all have the same one."""

NEW: Final = pa.field("new", pa.bool_(), nullable=False)
"""What is known of a source that is pending: whether the catalog has no row of it, of no target."""

MARKS: Final = pa.schema(
    [pa.field("key", pa.string()), pa.field("etag", pa.string()), pa.field("target", pa.string())]
)
"""Of rows: the change mark their source had."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A source that may or may not be what was archived: its bytes will tell."""

    key: str
    size: int
    """Bytes, as it is listed now."""
    etag: str
    """As it is listed now."""
    sha256: str
    """Of the bytes that were archived."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A part of a listing against the catalog. What is in neither is unchanged."""

    pending: pa.RecordBatch
    """Of the schema of the listing and `NEW`, sorted by key: new, changed, or lacking a target."""
    doubtful: tuple[Doubtful, ...]
    """Sources of the size and the modification time that were archived, in another file: it was
    copied, restored from a backup, or written by somebody who set the time back."""


def marked(batch: pa.RecordBatch, *, new: bool) -> pa.RecordBatch:
    """A part of a listing with the column `NEW`, the same for all of its sources."""
    return batch.append_column(NEW, pa.repeat(pa.scalar(new), batch.num_rows))


def without_unchanged(batch: pa.RecordBatch, rows: pa.Table, *, targets: int) -> pa.RecordBatch:
    """Take away the sources that have a row of exactly their mark for every target.

    Args:
        batch: Of the schema of the listing.
        rows: Of `MARKS`, about these keys and the wanted targets.
        targets: How many are wanted.
    """
    listed = pa.table(batch).select(["key", "etag"])
    if targets > 1:
        counted = rows.group_by(["key", "etag"]).aggregate([("target", "count_distinct")])
        rows = counted.filter(pc.equal(counted.column("target_count_distinct"), targets))
    marks = rows.select(["key", "etag"])
    left = listed.join(marks, keys=["key", "etag"], join_type="left anti").column("key")
    return batch.filter(pc.is_in(batch.column("key"), value_set=left.combine_chunks()))


def difference_of(batch: pa.RecordBatch, held: pa.Table, *, verify: bool = False) -> Difference:
    """Compare a part of a listing with what is done.

    Args:
        batch: Of `listing.SCHEMA`.
        held: Of `HELD`, about these keys.
        verify: Whether sources that look unchanged are doubtful as well.
    """
    left = pa.table(batch)
    if not verify:
        same = pc.equal(held.column("lowest"), held.column("highest"))
        known = held.filter(pc.and_(held.column("done"), same))
        exact = known.select(["key", "lowest"]).rename_columns(["key", "etag"])
        left = left.join(exact, keys=["key", "etag"], join_type="left anti")
    left = left.select(batch.schema.names).sort_by("key")
    of_key = {row["key"]: row for row in _of_keys(held, left).to_pylist()}
    pending: list[bool] = []
    new: list[bool] = []
    doubtful: list[Doubtful] = []
    for key, size, etag in _listed(left):
        row = of_key.get(key)
        if row is None or not row["done"]:
            pending.append(True)
            new.append(row is None)
            continue
        marks = (row["lowest"], row["highest"])
        unchanged = all(same_version(mark, etag) for mark in marks)
        alike = unchanged or all(_only_moved(mark, etag) for mark in marks)
        in_doubt = row["sha256"] is not None and alike and (verify or not unchanged)
        if in_doubt:
            doubtful.append(Doubtful(key, size, etag, row["sha256"]))
        pending.append(not (in_doubt or unchanged))
        new.append(False)
    chosen = left.append_column(NEW, pa.array(new, NEW.type))
    chosen = chosen.filter(pa.array(pending, pa.bool_())).combine_chunks()
    columns = [_one_chunk(column) for column in chosen.columns]
    schema = batch.schema.append(NEW)
    return Difference(pa.record_batch(columns, schema=schema), tuple(doubtful))


def _of_keys(held: pa.Table, left: pa.Table) -> pa.Table:
    if not (held.num_rows and left.num_rows):
        return held.slice(0, 0)
    return held.join(left.select(["key"]), keys="key", join_type="left semi")


def _listed(table: pa.Table) -> Iterator[tuple[str, int, str]]:
    names = ("key", "size", "etag")
    yield from zip(*(table.column(name).to_pylist() for name in names), strict=True)


def _only_moved(recorded: str, listed: str) -> bool:
    """Whether two full marks differ in inode and change time alone."""
    full = not (is_bare(recorded) or is_bare(listed))
    return full and bare_mark(recorded) == bare_mark(listed)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)
