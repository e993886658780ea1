"""SQL on the catalog."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import QueryBuilder
from deltalake.exceptions import DeltaError

from rescaling_core.errors import UsageError
from tasks.catalog.causes import reason_of
from tasks.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from deltalake import DeltaTable

TABLE: Final = "renditions"
"""What a condition may call the table."""


def query(table: DeltaTable, sql: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Run a query and yield its batches, cast to `schema`.

    Raises:
        StorageError: The table's files cannot be read.
    """
    try:
        reader = pa.RecordBatchReader.from_stream(
            QueryBuilder().register(TABLE, table).execute(sql)
        )
        for batch in reader:
            yield from pa.table(batch).cast(schema).to_batches()
    except (DeltaError, OSError, pa.ArrowException) as error:
        message = f"{table.table_uri}: cannot read the table: {reason_of(error)}"
        raise StorageError(message, retryable=True) from error


def check_condition(table: DeltaTable, condition: str) -> None:
    """Refuse a condition that is no SQL or names columns there are not.

    Raises:
        UsageError: What is wrong with it.
    """
    if not condition.strip():
        raise UsageError("the condition is empty")
    try:
        QueryBuilder().register(TABLE, table).execute(
            f"SELECT 1 FROM {TABLE} WHERE ({condition}\n) LIMIT 0"  # noqa: S608 - it is the point
        )
    except DeltaError as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"condition {condition!r}: {reason}") from error


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def any_of(column: str, values: Iterable[str]) -> str:
    """SQL: the column has one of these values."""
    return f"{column} IN ({', '.join(literal(value) for value in values)})"


def is_glob(key: str) -> bool:
    """Whether a key asked for is a pattern."""
    return any(sign in key for sign in "*?[")


def matching(batch: pa.RecordBatch, keys: Sequence[str]) -> pa.RecordBatch:
    """The rows whose source key is one of `keys` or matches one as a glob."""
    mask = [
        any(key == wanted or fnmatchcase(key, wanted) for wanted in keys)
        for key in batch.column("source_key").to_pylist()
    ]
    return batch.filter(pa.array(mask, pa.bool_()))


def cuts(files: Iterable[tuple[str | None, int]], rows: int) -> Iterator[str]:
    """Where to cut a table into ranges of source keys of about so many rows each.

    Args:
        files: The largest key of each file, None if it is not known, and its number of rows.
        rows: Of a range. Where the ranges of files overlap, there are more.

    Yields:
        Keys, ascending: a range goes from behind one up to and with the next.
    """
    count = 0
    for last, held in sorted((last, held) for last, held in files if last is not None):
        count += held
        if count >= rows:
            yield last
            count = 0


def key_range(keys: pa.ChunkedArray | pa.Array) -> tuple[str, str]:
    """Smallest and largest key, by which files are pruned."""
    bounds = pc.min_max(keys).as_py()
    return bounds["min"], bounds["max"]
