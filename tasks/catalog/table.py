"""The catalog of an archive: opening it, and writing to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from deltalake import write_deltalake

from rescaling_core.errors import UsageError
from tasks.catalog.absent import NOTHING_KNOWN, Absent
from tasks.catalog.delta import CatalogTable
from tasks.catalog.parts import parts_of
from tasks.catalog.place import Move
from tasks.catalog.reading import CatalogReader
from tasks.catalog.replacing import JUDGED, gives_way
from tasks.catalog.schema import RENDITIONS, RUNS, RunRecord, to_arrow

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from deltalake import CommitProperties, DeltaTable

    from tasks.catalog.difference import Doubtful
    from tasks.catalog.rows import CatalogRow
    from tasks.storage import Store

RENDITIONS_PREFIX: Final = "catalog/renditions"
RUNS_PREFIX: Final = "catalog/runs"

INDEXED: Final = ("source_key", "target", "state", "run_id", "committed_at")
"""Columns of `renditions` by whose ranges queries pass over files; by them, files are sorted."""


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
            CatalogTable(store, RENDITIONS_PREFIX, RENDITIONS, indexed=INDEXED),
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

    @property
    def files(self) -> frozenset[str]:
        """Names of the files that the newest version of `renditions` is made of; see `Absent`."""
        return frozenset(part.path for part in parts_of(self._renditions.current(), INDEXED[0]))

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
        return self.commit_shards([(shard_id, rows)], instead_of=instead_of, keep_times=keep_times)

    def commit_shards(
        self,
        shards: Sequence[tuple[str, Sequence[CatalogRow]]],
        *,
        instead_of: Collection[str] = (),
        keep_times: bool = False,
        absent: Absent = NOTHING_KNOWN,
    ) -> bool:
        """Commit all outcomes of several shards in one transaction; see `commit_shard`.

        Args:
            shards: The id of each, and its rows. No two shards have rows of one source and target.
            instead_of: LR keys whose rows give way too, since what they name is damaged.
            keep_times: Rows that say when they were committed keep that time.
            absent: Which files are known not to hold which source keys: they are not looked into.

        Returns:
            Whether anything was written.

        Raises:
            StorageError: Nothing of it was committed.
        """
        rows = [row for _, of_shard in shards for row in of_shard]
        if not rows:
            return False
        ids = " ".join(shard_id for shard_id, _ in shards)
        named = Counter((row.source_key, row.target) for row in rows)
        (twice, count), *_ = named.most_common(1)
        if count > 1:
            raise ValueError(f"shard {ids}: {count} rows for {twice[0]}, target {twice[1]}")
        now = datetime.now(UTC)
        times = [(row.committed_at if keep_times else None) or now for row in rows]
        return self._renditions.upsert(
            to_arrow(rows, RENDITIONS, committed_at=times),
            name=("source_key", "target"),
            judged=JUDGED,
            replaces=partial(gives_way, instead_of=frozenset(instead_of)),
            absent=absent,
            note=f"shards {ids}",
        )

    def refresh_marks(self, unchanged: Sequence[Doubtful]) -> None:
        """Record under which change mark the bytes that were archived lie now.

        Rows are found by key and digest. Their LR files keep the mark of when they were made.

        Raises:
            StorageError: Nothing of it was committed.
        """
        if not unchanged:
            return
        columns = {"source_key": "key", "source_etag": "etag", "source_sha256": "sha256"}
        data = {name: [getattr(one, of) for one in unchanged] for name, of in columns.items()}
        self._renditions.upsert(
            pa.table(data),
            name=("source_key", "source_sha256"),
            judged=("source_etag",),
            replaces=lambda old, new: old["source_etag"] != new["source_etag"],
            insert=False,
            note="change marks",
        )

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
        return self._renditions.upsert(
            data,
            name=("source_key", "target"),
            judged=("lr_key", "pack_key"),
            replaces=lambda old, new: (
                (old["lr_key"], old["pack_key"]) == (new["lr_key"], new["old_pack"])
            ),
            insert=False,
            note="moved files",
        )

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
