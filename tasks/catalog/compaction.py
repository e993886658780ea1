"""Joining the small files of a table.

`DeltaTable.optimize` is not used for it: a compaction of deltalake (seen with 1.6.6) that others
overtook is committed on top of theirs, whatever it was told about retries. Of two that join the
same files both succeed, and every row of them is there twice. What is committed here is committed
on the very version it was computed from, or not at all.
"""

from __future__ import annotations

import io
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties
from deltalake.transaction import AddAction, RemoveAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from deltalake import DeltaTable

    from tasks.storage import Store

READERS: Final = 8
"""Number of files read at once."""


def join_small_files(
    table: DeltaTable, store: Store, prefix: str, *, indexed: Sequence[str], size: int
) -> bool:
    """Join files into files of about `size` bytes, in one commit that changes no row.

    Args:
        table: The newest version there is.
        store: Where it lies; its schema is flat and it has no partitions.
        prefix: Below the root of the store.
        indexed: Columns by whose ranges queries pass over files. By the first, rows are sorted.
        size: Files at least as large are not touched.

    Returns:
        Whether there was anything to join.

    Raises:
        CommitFailedError: Another commit came first. Nothing was joined; the new files are no part
            of the table and go with the next clean-up. They are not removed here, since the error
            may be that of a commit whose answer was lost.
        StorageError: The store failed.
    """
    files = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    now = round(time.time() * 1000)
    actions: list[AddAction | RemoveAction] = []
    for group in _groups(files, f"min.{indexed[0]}", size):
        rows = _read(store, [f"{prefix}/{file['path']}" for file in group], table)
        rows = rows.sort_by([(name, "ascending") for name in indexed])
        path = f"part-{uuid.uuid4()}.zstd.parquet"
        data = io.BytesIO()
        pq.write_table(rows, data, compression="zstd")
        store.put(f"{prefix}/{path}", data.getvalue())
        # Not escaped: deltalake misreads pairs of escapes, and would pass over the file.
        stats = json.dumps(_statistics(rows, indexed), ensure_ascii=False)
        actions.append(AddAction(path, data.tell(), {}, now, data_change=False, stats=stats))
        actions += [
            RemoveAction(file["path"], False, now, file["size_bytes"], {}) for file in group
        ]
    if actions:
        table.create_write_transaction(
            actions,
            "append",
            table.schema(),
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    return bool(actions)


def _groups(
    files: Iterable[dict[str, Any]], order: str, size: int
) -> Iterator[list[dict[str, Any]]]:
    """Neighbours among the small files that make up one file, two of them or more."""
    small = [file for file in files if file["size_bytes"] < size]
    group: list[dict[str, Any]] = []
    for file in sorted(small, key=lambda file: file.get(order) or ""):
        group.append(file)
        if sum(one["size_bytes"] for one in group) >= size:
            yield group
            group = []
    if len(group) > 1:
        yield group


def _read(store: Store, keys: Sequence[str], table: DeltaTable) -> pa.Table:
    """The rows of files, with the table's columns; those that a file has not are null."""
    schema = pa.schema(table.schema().to_arrow())
    with ThreadPoolExecutor(READERS) as readers:
        parts = [pq.read_table(io.BytesIO(data)) for data in readers.map(store.get, keys)]
    return pa.concat_tables(
        pa.table(
            [
                part.column(field.name).cast(field.type)
                if field.name in part.schema.names
                else pa.nulls(len(part), field.type)
                for field in schema
            ],
            schema=schema,
        )
        for part in parts
    )


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
