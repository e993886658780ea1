"""The catalog of an archive: opening it, and writing to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from deltalake import write_deltalake

from rescaling_core.errors import UsageError
from tasks.catalog import query as sql
from tasks.catalog.delta import CatalogTable
from tasks.catalog.place import Move
from tasks.catalog.reading import CatalogReader
from tasks.catalog.schema import RENDITIONS, RUNS, RunRecord, to_arrow

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deltalake import CommitProperties, DeltaTable

    from tasks.catalog.difference import Doubtful
    from tasks.catalog.rows import CatalogRow
    from tasks.storage import Store

RENDITIONS_PREFIX: Final = "catalog/renditions"
RUNS_PREFIX: Final = "catalog/runs"

THAWED: Final = "thawed"
"""What a row depends on whose source lies in a cold class of its store. No run has this, so that
each looks again."""

REPLACES: Final = (
    "(new.source_etag <> old.source_etag"
    f" AND NOT (old.state = 'archived' AND coalesce(new.depends_on, '') = '{THAWED}'))"
    " OR new.source_sha256 <> old.source_sha256"
    " OR (old.state = 'quarantined' AND new.state <> 'quarantined')"
    " OR (old.state <> 'archived' AND old.depends_on IS NOT NULL"
    " AND (new.depends_on IS NULL OR new.depends_on <> old.depends_on))"
    " OR (old.state = 'archived' AND old.seconds IS NULL"
    " AND new.state = 'archived' AND new.seconds IS NOT NULL)"
)
"""When a row gives way to a later one: its source has another change mark or other bytes, or came
out of quarantine, or was kept under other circumstances; or it was made again from its LR file,
which does not hold all that the run that made the file knows and is about to commit. What lies in a
cold class was not read, so that another mark says nothing: what was archived stays then."""

_INDEXED: Final = ("source_key", "target", "state", "run_id", "committed_at")


def open_catalog(store: Store, *, create: bool = True) -> Catalog:
    """Open the catalog of an archive.

    Args:
        store: The archive.
        create: Make the tables if there are none; without, they must be there.

    Raises:
        UsageError: There is no catalog and `create` is off.
        StorageError: The store fails, or cannot hold a catalog.
    """
    catalog = Catalog(store)
    if create:
        catalog.create()
    elif not catalog.exists():
        raise UsageError(f"{store.url}: no archive there (it has no {RENDITIONS_PREFIX})")
    return catalog


class Catalog(CatalogReader):
    """The catalog of one archive. It travels between processes as the archive's URL."""

    def __init__(self, store: Store) -> None:
        self._store = store
        super().__init__(
            CatalogTable(store, RENDITIONS_PREFIX, RENDITIONS, indexed=_INDEXED),
            CatalogTable(store, RUNS_PREFIX, RUNS, indexed=("run_id", "started_at")),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the store does."""
        return Catalog, (self._store,)

    def create(self) -> None:
        """Make the tables that are not there."""
        self._renditions.create()
        self._runs.create()

    def exists(self) -> bool:
        """Whether there is a catalog."""
        return self._renditions.exists()

    @property
    def store(self) -> Store:
        """The archive."""
        return self._store

    @property
    def tables(self) -> tuple[CatalogTable, ...]:
        """What the catalog is made of, for its upkeep."""
        return self._renditions, self._runs

    @property
    def version(self) -> int:
        """Number of the newest commit to `renditions`."""
        return int(self._renditions.current().version())

    def commit_shard(
        self,
        shard_id: str,
        rows: Sequence[CatalogRow],
        *,
        instead_of: Collection[str] = (),
        keep_times: bool = False,
    ) -> bool:
        """Commit all outcomes of a shard in one transaction.

        However often and from however many processes this is called, with these rows or with
        those of shards that overlap, there is one row for each source and target: a row that is
        there stays, unless its source has changed since or was in quarantine.

        Args:
            shard_id: Recorded with the commit.
            rows: One for each source and target.
            instead_of: LR keys whose rows give way too, since what they name is damaged.
            keep_times: Rows that say when they were committed keep that time.

        Returns:
            Whether anything was written. False may also follow a commit of ours whose answer was
            lost and that was tried again.

        Raises:
            StorageError: Nothing of it was committed.
        """
        if not rows:
            return False
        named = Counter((row.source_key, row.target) for row in rows)
        (twice, count), *_ = named.most_common(1)
        if count > 1:
            raise ValueError(f"shard {shard_id}: {count} rows for {twice[0]}, target {twice[1]}")
        now = datetime.now(UTC)
        times = [(row.committed_at if keep_times else None) or now for row in rows]
        data = to_arrow(rows, RENDITIONS, committed_at=times).sort_by("source_key")
        low, high = sql.key_range(data.column("source_key"))
        replaces = REPLACES
        if instead_of:
            replaces += f" OR {sql.any_of('old.lr_key', sorted(instead_of))}"

        def merge(table: DeltaTable, properties: CommitProperties) -> bool:
            metrics = (
                table.merge(
                    data,
                    "old.source_key = new.source_key AND old.target = new.target"
                    f" AND old.source_key >= {sql.literal(low)}"
                    f" AND old.source_key <= {sql.literal(high)}",
                    source_alias="new",
                    target_alias="old",
                    commit_properties=properties,
                )
                .when_matched_update_all(replaces)
                .when_not_matched_insert_all()
                .execute()
            )
            return bool(metrics["num_target_rows_inserted"] + metrics["num_target_rows_updated"])

        return self._renditions.commit(merge, shard_id)

    def refresh_marks(self, unchanged: Sequence[Doubtful]) -> None:
        """Record under which change mark the bytes that were archived lie now.

        Rows are found by key and digest. Their LR files keep the mark of when they were made.

        Raises:
            StorageError: Nothing of it was committed.
        """
        if not unchanged:
            return
        columns = ("key", "etag", "sha256")
        data = pa.table({name: [getattr(one, name) for one in unchanged] for name in columns})
        low, high = sql.key_range(data.column("key"))

        def merge(table: DeltaTable, properties: CommitProperties) -> bool:
            metrics = (
                table.merge(
                    data,
                    "old.source_key = new.key AND old.source_sha256 = new.sha256"
                    f" AND old.source_key >= {sql.literal(low)}"
                    f" AND old.source_key <= {sql.literal(high)}",
                    source_alias="new",
                    target_alias="old",
                    commit_properties=properties,
                )
                .when_matched_update({"source_etag": "new.etag"}, "old.source_etag <> new.etag")
                .execute()
            )
            return bool(metrics["num_target_rows_updated"])

        self._renditions.commit(merge, "refresh-marks")

    def move_files(self, moves: Sequence[Move]) -> bool:
        """Record in which packs LR files lie now, in one transaction.

        A row that was changed since keeps what it says: its LR file, or the place of that, is
        another one. Nothing but the place changes, the time of the commit neither.

        Args:
            moves: One for each source and target, of packs that lie in storage.

        Returns:
            Whether anything was written, as for `commit_shard`.

        Raises:
            StorageError: Nothing of it was committed.
        """
        if not moves:
            return False
        columns = [one.name for one in fields(Move)]
        data = pa.table({name: [getattr(one, name) for one in moves] for name in columns})
        low, high = sql.key_range(data.column("source_key"))

        def merge(table: DeltaTable, properties: CommitProperties) -> bool:
            metrics = (
                table.merge(
                    data,
                    "old.source_key = new.source_key AND old.target = new.target"
                    f" AND old.source_key >= {sql.literal(low)}"
                    f" AND old.source_key <= {sql.literal(high)}",
                    source_alias="new",
                    target_alias="old",
                    commit_properties=properties,
                )
                .when_matched_update(
                    {"pack_key": "new.pack_key", "pack_offset": "new.pack_offset"},
                    "old.lr_key = new.lr_key AND old.pack_key = new.old_pack",
                )
                .execute()
            )
            return bool(metrics["num_target_rows_updated"])

        return self._renditions.commit(merge, "move-files")

    def record_run(self, record: RunRecord) -> None:
        """Add a run to the table of runs; a second call with the same id changes nothing."""
        data = to_arrow([record], RUNS)

        def append(table: DeltaTable, properties: CommitProperties) -> bool:
            if table.transaction_version(record.run_id) is not None:
                return False
            write_deltalake(  # "merge": a later release may have added columns
                table, data, mode="append", schema_mode="merge", commit_properties=properties
            )
            return True

        self._runs.commit(append, record.run_id)
