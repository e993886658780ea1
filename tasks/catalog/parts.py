"""The Parquet files of a table: which may hold a key, what they hold, and writing one."""

from __future__ import annotations

import io
import json
import time
import uuid
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, RemoveAction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deltalake import DeltaTable

    from tasks.storage import Store

GROUP_ROWS: Final = 8192
"""Rows of a row group: what is read to see whether a key is in a large file."""

SAMPLE: Final = 256
"""Rows by which a column is taken to have few values or many."""

TAIL: Final = 64 * 2**10
"""Bytes that are read from the end of a file at first: its own list of what lies where."""


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file of a table."""

    path: str
    """Relative to the table."""
    nbytes: int
    low: str | None
    """No key is below it; None where that is not known."""
    high: str | None
    """No key is above it; None where that is not known."""

    def removed(self, *, data_change: bool) -> RemoveAction:
        """That it is no part of the table any longer."""
        return RemoveAction(self.path, data_change, _now(), self.nbytes, {})


def parts_of(table: DeltaTable, key: str) -> list[Part]:
    """The files of a version of a table, with their ranges of an indexed column."""
    actions = pa.table(table.get_add_actions(flatten=True))
    names = ("path", "size_bytes", f"min.{key}", f"max.{key}")
    columns = [
        actions.column(name).to_pylist() if name in actions.schema.names else [None] * len(actions)
        for name in names
    ]
    return [Part(*values) for values in zip(*columns, strict=True)]


def keys_within(part: Part, keys: Sequence[str]) -> Sequence[str]:
    """Those of some sorted keys that a file may hold."""
    first = 0 if part.low is None else bisect_left(keys, part.low)
    last = len(keys) if part.high is None else bisect_right(keys, part.high)
    return keys[first:last]


class PartFile(io.RawIOBase):
    """A file of a table as Parquet readers want it: they seek, and read ranges."""

    def __init__(self, store: Store, key: str, nbytes: int) -> None:
        """Read the end, where Parquet says what lies where.

        Args:
            store: Where it lies.
            key: Of the object.
            nbytes: Size of the object.
        """
        self._store, self._key, self._size, self._at = store, key, nbytes, 0
        self._tail_at = max(0, nbytes - TAIL)
        self._tail = store.get_range(key, self._tail_at, nbytes - self._tail_at)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Read from the position on."""
        left = max(0, self._size - self._at)
        length = left if size is None or size < 0 else min(size, left)
        start = self._at
        self._at += length
        if not length:
            return b""
        if start >= self._tail_at:
            return self._tail[start - self._tail_at : start - self._tail_at + length]
        return self._store.get_range(self._key, start, length)


def matches(
    store: Store, prefix: str, part: Part, keys: Sequence[str], *, key: str, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a file that have one of some keys.

    Args:
        store: Where the table lies.
        prefix: Below the root of the store.
        part: The file.
        keys: Which `keys_within` found for it.
        key: The column they are values of, by which the file is sorted.
        columns: Those to read of the rows that are found; null where the file lacks them.

    Yields:
        The number of a row in the file, from 0 on, and its values.
    """
    file = pq.ParquetFile(PartFile(store, f"{prefix}/{part.path}", part.nbytes))
    wanted = pa.array(keys, pa.string())
    start = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if file.num_row_groups == 1 or _may_hold(file, group, key, keys):
            values = file.read_row_group(group, columns=[key], use_threads=False).column(key)
            mask = pc.is_in(values.cast(pa.string()), value_set=wanted)
            places = pc.indices_nonzero(mask).to_pylist()
            if places:
                held = set(file.schema_arrow.names)
                asked = [name for name in columns if name in held]
                found = _plain(file.read_row_group(group, columns=asked, use_threads=False))
                absent = dict.fromkeys(name for name in columns if name not in held)
                for place, row in zip(places, found.take(places).to_pylist(), strict=True):
                    yield start + place, absent | row
        start += rows


def _plain(rows: pa.Table) -> pa.Table:
    """Rows with texts as usual: in files that deltalake's MERGE wrote they are views."""
    fields = [
        field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


def _may_hold(file: pq.ParquetFile, group: int, key: str, keys: Sequence[str]) -> bool:
    column = file.metadata.row_group(group).column(file.schema_arrow.get_field_index(key))
    stats = column.statistics
    if stats is None or not stats.has_min_max:
        return True
    return bool(keys_within(Part("", 0, stats.min, stats.max), keys))


def read_part(store: Store, key: str, schema: pa.Schema) -> pa.Table:
    """All rows of a file, with the columns of a table; those that the file has not are null."""
    return with_columns(pq.read_table(io.BytesIO(store.get(key))), schema)


def with_columns(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows with the columns of a table; those they have not are null."""
    columns = [
        rows.column(field.name).cast(field.type)
        if field.name in rows.schema.names
        else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def write_part(
    store: Store, prefix: str, rows: pa.Table, *, indexed: Sequence[str], data_change: bool
) -> AddAction:
    """Write rows as a new file, which is no part of the table before that is committed.

    Args:
        store: Where the table lies; its schema is flat and it has no partitions.
        prefix: Below the root of the store.
        rows: At least one.
        indexed: Columns by whose ranges queries pass over files. By them, rows are sorted.
        data_change: Whether the table had not all of these rows before.
    """
    rows = rows.sort_by([(name, "ascending") for name in indexed])
    path = f"part-{uuid.uuid4()}.zstd.parquet"
    data = parquet_of(rows)
    store.put(f"{prefix}/{path}", data)
    # Not escaped: deltalake misreads pairs of escapes, and would pass over the file.
    stats = json.dumps(_statistics(rows, indexed), ensure_ascii=False)
    return AddAction(path, len(data), {}, _now(), data_change=data_change, stats=stats)


def parquet_of(rows: pa.Table) -> bytes:
    """Rows as a file. Columns of few values have a dictionary; keys are read faster without."""
    first = rows.slice(0, SAMPLE)
    few = [
        name
        for name in rows.schema.names
        if pc.count_distinct(first.column(name)).as_py() < SAMPLE / 2
    ]
    data = io.BytesIO()
    pq.write_table(
        rows, data, compression="zstd", row_group_size=GROUP_ROWS, use_dictionary=few or False
    )
    return data.getvalue()


def _statistics(rows: pa.Table, indexed: Sequence[str]) -> dict[str, Any]:
    """Of the new file, as Delta's log has them, with the ranges of texts."""
    texts = [name for name in indexed if pa.types.is_string(rows.schema.field(name).type)]
    ranges = {name: pc.min_max(rows.column(name)).as_py() for name in texts}
    return {
        "numRecords": len(rows),
        "minValues": {name: found["min"] for name, found in ranges.items()},
        "maxValues": {name: found["max"] for name, found in ranges.items()},
        "nullCount": {name: rows.column(name).null_count for name in texts},
    }


def _now() -> int:
    return round(time.time() * 1000)
