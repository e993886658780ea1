"""Writing rows to a table whose rows are named by some columns: each name has one row.

A `MERGE` of deltalake (seen with 1.6.6) reads every column of every file whose range meets the
range of the new keys: of a table with 10^7 rows some 30 GB, where keys are spread over it. Here
only the column of keys is read, of the files that may hold one of the new keys (less those of which
the caller knows better, see `absent`), and rows of names that no file has are a file more. What is
replaced has its file written again.

Nothing of it counts before the commit, which succeeds on just the version that was looked at: a
name that no file of that version has is in none when the commit is made, whoever else writes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from tasks.catalog.absent import NOTHING_KNOWN, Absent
from tasks.catalog.parts import (
    Part,
    matches,
    parts_of,
    read_part,
    with_columns,
    write_part,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from deltalake import CommitProperties, DeltaTable
    from deltalake.transaction import AddAction, RemoveAction

    from tasks.storage import Store

    Row = Mapping[str, Any]


class Upsert:
    """One commit to come, computed on one version of a table."""

    def __init__(
        self, table: DeltaTable, store: Store, prefix: str, *, indexed: Sequence[str]
    ) -> None:
        """Take the version that the table is at.

        Args:
            table: Its schema is flat and it has no partitions.
            store: Where it lies.
            prefix: Below the root of the store.
            indexed: Columns by whose ranges files are passed over; the first holds the keys.
        """
        self._table, self._store, self._prefix = table, store, prefix
        self._indexed, self._key = indexed, indexed[0]
        self._schema = pa.schema(table.schema().to_arrow())

    def commit(
        self,
        new: pa.Table,
        properties: CommitProperties,
        *,
        name: Sequence[str],
        judged: Sequence[str],
        replaces: Callable[[Row, Row], bool],
        insert: bool = True,
        absent: Absent = NOTHING_KNOWN,
    ) -> bool:
        """Write rows of names that are not there, and rows that replace what is there.

        Args:
            new: Columns of the table, the key among them; others keep what they are in a row that
                is replaced. What is no column of the table is for `replaces` alone. No two rows
                have one name.
            properties: Of the commit.
            name: Columns that name a row, the key first.
            judged: Columns of a row that `replaces` looks at.
            replaces: Whether a row of the table, given first, gives way to the new one.
            insert: Write rows of names that are not there. Without, only what is there is changed.
            absent: Which files are known not to hold which keys.

        Returns:
            Whether there was anything to write.

        Raises:
            CommitFailedError: Another commit came first. The files that were written for this one
                are no part of the table and go with the next clean-up.
            StorageError: The store failed.
        """
        columns = self._schema.names
        asked = [one for one in new.schema.names if one in (*name, *judged) or one not in columns]
        rows = new.select(asked).to_pylist()
        new = new.select([one for one in new.schema.names if one in columns])
        of_name = {tuple(row[column] for column in name): n for n, row in enumerate(rows)}
        there: set[int] = set()
        actions: list[AddAction | RemoveAction] = []
        keys = sorted({row[self._key] for row in rows})
        places = list(absent.places(parts_of(self._table, self._key), keys))
        for part, held in self._held(places, (*name, *judged)):
            replaced: dict[int, int] = {}
            for place, old in held:
                number = of_name.get(tuple(old[column] for column in name))
                if number is not None:
                    there.add(number)
                    if replaces(old, rows[number]):
                        replaced[place] = number
            if replaced:
                actions += self._written_again(part, replaced, new)
        fresh = [number for number in range(len(rows)) if number not in there] if insert else []
        if fresh:
            actions.append(self._write(with_columns(new.take(fresh), self._schema)))
        if actions:
            self._table.create_write_transaction(
                actions, "append", self._table.schema(), commit_properties=properties
            )
        return bool(actions)

    def _held(
        self, places: Sequence[tuple[Part, Sequence[str]]], columns: Sequence[str]
    ) -> list[tuple[Part, list[tuple[int, dict[str, Any]]]]]:
        """The rows of each file that have one of its keys, where there are any."""

        def look(one: tuple[Part, Sequence[str]]) -> list[tuple[int, dict[str, Any]]]:
            part, within = one
            found = matches(self._store, self._prefix, part, within, key=self._key, columns=columns)
            return list(found)

        if not places:
            return []
        with ThreadPoolExecutor(min(self._store.reads_at_once, len(places))) as readers:
            looked = readers.map(look, places)
            return [(part, held) for (part, _), held in zip(places, looked, strict=True) if held]

    def _written_again(
        self, part: Part, replaced: Mapping[int, int], new: pa.Table
    ) -> list[AddAction | RemoveAction]:
        """A file with some of its rows replaced, in place of the one it was."""
        old = read_part(self._store, f"{self._prefix}/{part.path}", self._schema)
        places = list(replaced)
        before, after = old.take(places), new.take(list(replaced.values()))
        for column in after.schema.names:
            place = self._schema.get_field_index(column)
            field = self._schema.field(place)
            before = before.set_column(place, field, after.column(column).cast(field.type))
        stays = pa.array([n for n in range(len(old)) if n not in replaced], pa.int64())
        rows = pa.concat_tables([old.take(stays), before])
        return [part.removed(data_change=True), self._write(rows)]

    def _write(self, rows: pa.Table) -> AddAction:
        return write_part(self._store, self._prefix, rows, indexed=self._indexed, data_change=True)
