"""A Delta table in a store: opened late, refreshed cheaply, committed to one writer at a time.

A commit made here succeeds only on the very version it was computed from; otherwise it is
computed again on the newer one. That is stricter than Delta's own conflict rules need be, and
makes every commit see all earlier ones, whoever made them.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import (
    CommitFailedError,
    DeltaError,
    DeltaProtocolError,
    SchemaMismatchError,
    TableNotFoundError,
)

from tasks.catalog.absent import NOTHING_KNOWN, Absent
from tasks.catalog.causes import reason_of
from tasks.catalog.compaction import join_small_files, part_overlapping
from tasks.catalog.upsert import Upsert
from tasks.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tasks.storage import Store

COMMIT_PATIENCE: Final = 300.0
"""Seconds for which a commit that others keep overtaking is tried again."""

CONFIGURATION: Final = {
    # Opening a table reads the newest checkpoint and every small log file after it.
    "delta.checkpointInterval": "20",
}

COMPACT_EVERY: Final = 20
"""Commits after which the small files they left become one: on S3 every file costs a query four
requests one after another. Whoever makes the commit whose number this divides, compacts."""

COMPACTED_AT_ONCE: Final = 4
"""Commits of a compaction, at most: what is left to do is left to the next one."""

NOTE: Final = "refold"
"""What a commit calls its note in the log."""

REFRESHES: Final = 8
"""Times an open table is brought up to date before it is opened again: each time makes deltalake
1.6 slower at everything it does with it."""


class CatalogTable:
    """One Delta table, safe to use from several threads and to race from several processes."""

    def __init__(
        self, store: Store, prefix: str, schema: pa.Schema, *, indexed: Sequence[str]
    ) -> None:
        """Say what table is meant, touching nothing.

        Args:
            store: Where it lies.
            prefix: Below the root of the store.
            schema: For making it.
            indexed: Columns by whose ranges queries pass over files.
        """
        self._store, self._prefix = store, prefix
        self._schema, self._indexed = schema, indexed
        columns = {"delta.dataSkippingStatsColumns": ",".join(indexed)}
        self._configuration: dict[str, str | None] = {**CONFIGURATION, **columns}
        self.uri = store.delta_uri(prefix)
        self._options: dict[str, str] = {}
        self._table: DeltaTable | None = None
        self._refreshes = 0
        self._lock = RLock()

    def refuse_links(self) -> None:
        """Make sure that no link leads out of the table before files of it are deleted.

        Raises:
            StorageError: One does: Delta Lake would follow it.
        """
        self._store.refuse_links(f"{self._prefix}/")

    def create(self) -> None:
        """Make the table unless it is there; several may try at once."""
        if self.exists():
            return
        with self._naming("create"):
            try:
                DeltaTable.create(
                    self.uri,
                    self._schema,
                    mode="ignore",
                    storage_options=self._store.delta_options(),
                    configuration=self._configuration,
                )
            except DeltaError:
                if not self.exists():  # else another run made it between our two looks
                    raise

    def exists(self) -> bool:
        """Whether there is such a table."""
        try:
            self.current()
        except StorageError as error:
            if isinstance(error.__cause__, TableNotFoundError):
                return False
            raise
        return True

    def current(self) -> DeltaTable:
        """The newest version of the table.

        Raises:
            StorageError: There is no table, or it cannot be read.
        """
        with self._lock, self._naming("read"):
            options = self._store.delta_options()
            renewed = options != self._options  # credentials expire
            if self._table is None or renewed or self._refreshes == REFRESHES:
                self._table = DeltaTable(self.uri, storage_options=options)
                self._options, self._refreshes = options, 0
            else:
                self._table.update_incremental()
                self._refreshes += 1
            return self._table

    def select_list(self, columns: Sequence[str] = ()) -> str:
        """Columns for a SELECT, by default all; those an earlier release had not are null."""
        known = _names(self.current())
        names = columns or self._schema.names
        return ", ".join(name if name in known else f"NULL AS {name}" for name in names)

    def has_column(self, name: str) -> bool:
        """Whether the table has a column, which one of an earlier release may lack."""
        return name in _names(self.current())

    def files(self, column: str) -> Iterator[tuple[str | None, int]]:
        """The largest value of an indexed column in each file, and the file's number of rows."""
        actions = pa.table(self.current().get_add_actions(flatten=True))
        rows = actions.column("num_records").to_pylist()
        name = f"max.{column}"  # absent where the table has no file
        largest = actions.column(name).to_pylist() if name in actions.schema.names else []
        yield from zip(largest, rows, strict=False)

    def upsert(
        self,
        new: pa.Table,
        *,
        name: Sequence[str],
        judged: Sequence[str],
        replaces: Callable[[Mapping[str, Any], Mapping[str, Any]], bool],
        insert: bool = True,
        absent: Absent = NOTHING_KNOWN,
        note: str,
    ) -> bool:
        """Write rows of names that are not there, and rows that replace what is there, at once.

        The cost follows the rows that are written, not those of the table; see `Upsert.commit`.

        Args:
            new: The rows, no two of one name.
            name: Columns that name a row, the first of the indexed ones first.
            judged: Columns of a row that `replaces` looks at.
            replaces: Whether a row of the table, given first, gives way to the new one.
            insert: Write rows of names that are not there.
            absent: Which files are known not to hold which keys.
            note: Recorded with the commit, for those who read the log.

        Returns:
            Whether there was anything to write.

        Raises:
            StorageError: Nothing of it was committed.
        """

        def attempt(table: DeltaTable, properties: CommitProperties) -> bool:
            one = Upsert(table, self._store, self._prefix, indexed=self._indexed)
            return one.commit(
                new,
                properties,
                name=name,
                judged=judged,
                replaces=replaces,
                insert=insert,
                absent=absent,
            )

        return self.commit(attempt, note=note)

    def commit(
        self,
        attempt: Callable[[DeltaTable, CommitProperties], bool],
        app_id: str | None = None,
        *,
        note: str | None = None,
    ) -> bool:
        """Run `attempt` on the newest version until it commits on just that version.

        Args:
            attempt: Writes to the table it is given with the properties it is given, and says
                whether there was anything to write.
            app_id: By which `attempt` sees in a later version whether it was committed. The table
                keeps each for good, in every checkpoint.
            note: Recorded with the commit, for those who read the log.

        Raises:
            StorageError: The store failed, or others were always faster.
        """
        deadline = time.monotonic() + COMMIT_PATIENCE
        pause = 0.02
        while True:
            with self._lock, self._naming("commit to"):
                table = self.current()
                properties = CommitProperties(
                    max_commit_retries=0,  # with 0, no conflict is resolved behind our back
                    app_transactions=None
                    if app_id is None
                    else [Transaction(app_id, (table.transaction_version(app_id) or 0) + 1)],
                    custom_metadata=None if note is None else {NOTE: note},
                )
                try:
                    self._add_columns(table)
                    version = table.version() + 1
                    written = attempt(table, properties)
                except CommitFailedError:
                    if time.monotonic() > deadline:
                        raise
                else:
                    if written and version % COMPACT_EVERY == 0:
                        self.compact()
                    return written
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads rivals apart
            pause = min(2.0, pause * 2)

    def _add_columns(self, table: DeltaTable) -> None:
        """Give a table of an earlier release the columns it lacks."""
        known = _names(table)
        lacking = [
            field for field in Schema.from_arrow(self._schema).fields if field.name not in known
        ]
        if lacking:
            table.alter.add_columns(
                lacking, commit_properties=CommitProperties(max_commit_retries=0)
            )

    def compact(self, *, at_once: int = COMPACTED_AT_ONCE) -> bool:
        """Join small files into larger ones, and part those of one range; the rows stay.

        Args:
            at_once: Commits made for it, at most.

        Returns:
            Whether anything was done: where another commit came first it is left to a later one.
        """
        done = False
        with self._lock, self._naming("compact"):
            place = (self._store, self._prefix)
            try:
                for _ in range(at_once):
                    if not (
                        join_small_files(self.current(), *place, indexed=self._indexed)
                        or part_overlapping(self.current(), *place, indexed=self._indexed)
                    ):
                        break
                    done = True
            except CommitFailedError:
                pass
        return done

    @contextmanager
    def _naming(self, what: str) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except (DeltaError, OSError, pa.ArrowException) as error:
            self._table = None  # whatever state it is in, the next use opens it again
            lasting = (TableNotFoundError, SchemaMismatchError, DeltaProtocolError)
            transient = not isinstance(error, lasting)
            message = f"{self.uri}: cannot {what} the table: {reason_of(error)}"
            raise StorageError(message, retryable=transient) from error


def _names(table: DeltaTable) -> set[str]:
    return {field.name for field in table.schema().fields}
