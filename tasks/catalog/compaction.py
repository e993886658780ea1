"""Joining the small files of a table, and parting files whose ranges of keys lie on each other.

`DeltaTable.optimize` is not used for it: a compaction of deltalake (seen with 1.6.6) that others
overtook is committed on top of theirs, whatever it was told about retries. Of two that join the
same files both succeed, and every row of them is there twice. What is committed here is committed
on the very version it was computed from, or not at all.

Rows whose keys come in order make files with ranges side by side, and a key is looked for in one.
Rows whose keys are spread over the table make files that each range over all of it, and every key
is looked for in all of these. So many of them are sorted together into as many files side by side.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from deltalake import CommitProperties

from tasks.catalog.parts import parts_of, read_part, write_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, RemoveAction

    from tasks.catalog.parts import Part
    from tasks.storage import Store

READERS: Final = 8
"""Number of files read at once."""

SMALL: Final = 4 * 2**20
"""Size in bytes from which on a file is not joined again, so that a row is rewritten a few times
only."""

LARGEST: Final = 16 * 2**20
"""Size in bytes of the files of a large table. What changes has its whole file written again."""

MANY_FILES: Final = 8192
"""Files are made larger when a table has so many: each costs every commit about 10 microseconds."""

DEPTH: Final = 8
"""Files that may range over one key."""

PARTED_AT_ONCE: Final = 48 * 2**20
"""Bytes of the files that are parted together: with their rows in memory some 500 MiB."""


def size_for(nbytes: int) -> int:
    """Size in bytes of the files that are made for a table of a size in bytes."""
    size = SMALL
    while size < LARGEST and nbytes > size * MANY_FILES:
        size *= 2
    return size


def join_small_files(
    table: DeltaTable,
    store: Store,
    prefix: str,
    *,
    indexed: Sequence[str],
    size: int = SMALL,
) -> bool:
    """Join files into files of about `size_for` bytes, in one commit that changes no row.

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
    parts = parts_of(table, indexed[0])
    target = max(size, size_for(sum(part.nbytes for part in parts)))
    groups = [(group, 1) for group in small_neighbours(parts, size, target)]
    return _write_again(table, store, prefix, groups, indexed)


def part_overlapping(
    table: DeltaTable, store: Store, prefix: str, *, indexed: Sequence[str]
) -> bool:
    """Sort files that range over one key into files side by side; see `join_small_files`.

    Returns:
        Whether more files than `DEPTH` do, so that some of them were.
    """
    parts = parts_of(table, indexed[0])
    crowd = deepest_overlap(parts, depth=DEPTH, most=PARTED_AT_ONCE)
    if not crowd:
        return False
    size = size_for(sum(part.nbytes for part in parts))
    pieces = max(1, round(sum(part.nbytes for part in crowd) / size))
    return _write_again(table, store, prefix, [(crowd, pieces)], indexed)


def small_neighbours(parts: Iterable[Part], size: int, target: int) -> Iterator[list[Part]]:
    """Neighbours among the small files that make up one file, two of them or more.

    Args:
        parts: Of the table.
        size: Files at least as large, in bytes, are not small.
        target: Bytes that make up a file.
    """
    small = [part for part in parts if part.nbytes < size]
    group: list[Part] = []
    for part in sorted(small, key=lambda part: part.low or ""):
        group.append(part)
        if sum(one.nbytes for one in group) >= target:
            yield group
            group = []
    if len(group) > 1:
        yield group


def deepest_overlap(parts: Iterable[Part], *, depth: int, most: int) -> list[Part]:
    """The files that range over the key which the most files range over, the widest ones first.

    Args:
        parts: Of the table.
        depth: None are named if no more files than this range over any key.
        most: Bytes of those that are named, together.
    """
    ranged = [(part.low, part.high, part) for part in parts if part.low and part.high]
    lows = sorted(low for low, _, _ in ranged)
    highs = sorted(high for _, high, _ in ranged)
    over = [number + 1 - bisect_left(highs, low) for number, low in enumerate(lows)]
    if not over or max(over) <= depth:
        return []
    key = lows[over.index(max(over))]

    def width(low: str, high: str) -> int:
        return bisect_right(lows, high) - bisect_left(lows, low)

    there = [(width(low, high), part) for low, high, part in ranged if low <= key <= high]
    named: list[Part] = []
    for _, part in sorted(there, key=lambda one: one[0], reverse=True):
        if len(named) > 1 and sum(one.nbytes for one in named) + part.nbytes > most:
            break
        named.append(part)
    return named


def _write_again(
    table: DeltaTable,
    store: Store,
    prefix: str,
    groups: Iterable[tuple[Sequence[Part], int]],
    indexed: Sequence[str],
) -> bool:
    """Replace the files of each group by so many, in one commit."""
    schema = pa.schema(table.schema().to_arrow())
    actions: list[AddAction | RemoveAction] = []
    for group, pieces in groups:
        rows = _read(store, [f"{prefix}/{part.path}" for part in group], schema)
        rows = rows.sort_by(indexed[0])
        step = ceil(len(rows) / pieces)
        actions += [
            write_part(store, prefix, rows.slice(start, step), indexed=indexed, data_change=False)
            for start in range(0, len(rows), step)
        ]
        actions += [part.removed(data_change=False) for part in group]
    if actions:
        table.create_write_transaction(
            actions,
            "append",
            table.schema(),
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    return bool(actions)


def _read(store: Store, keys: Sequence[str], schema: pa.Schema) -> pa.Table:
    """The rows of files, with the table's columns."""
    with ThreadPoolExecutor(READERS) as readers:
        return pa.concat_tables(readers.map(lambda key: read_part(store, key, schema), keys))
