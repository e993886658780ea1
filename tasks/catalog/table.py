"""Reading and writing the catalog."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from deltalake import write_deltalake

from rescaling_core.errors import UsageError
from tasks.catalog import query as sql
from tasks.catalog.delta import CatalogTable
from tasks.catalog.difference import DONE, Difference, Doubtful, difference_of
from tasks.catalog.paging import Page, Position, Search
from tasks.catalog.schema import LIGHT, RENDITIONS, RUNS, CatalogRow, RunRecord, to_arrow, to_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from deltalake import CommitProperties, DeltaTable

    from tasks.catalog.schema import State
    from tasks.storage import Store

RENDITIONS_PREFIX: Final = "catalog/renditions"
RUNS_PREFIX: Final = "catalog/runs"

LOOKED_AT_AGAIN: Final = (
    "FileUnreadable",
    "FolderUnreadable",
    "ObjectUnreadableError",
    "SourceChanged",
    "SourceVanished",
)
"""Reasons for quarantine that may pass while the listing stays the same: each run looks again."""

REPLACES: Final = (
    "new.source_etag <> old.source_etag"
    " OR new.source_sha256 <> old.source_sha256"
    " OR (old.state = 'quarantined' AND new.state <> 'quarantined')"
    " OR (old.state <> 'archived' AND old.depends_on IS NOT NULL"
    " AND (new.depends_on IS NULL OR new.depends_on <> old.depends_on))"
    " OR (old.state = 'archived' AND old.seconds IS NULL"
    " AND new.state = 'archived' AND new.seconds IS NOT NULL)"
)
"""When a row gives way to a later one: its source has another change mark or other bytes, or came
out of quarantine, or was kept under other circumstances; or it was made again from its LR file,
which does not hold all that the run that made the file knows and is about to commit."""

ROWS_AT_ONCE: Final = 65_536
"""Rows that a reader of the whole table has in memory: 250 MiB with their metadata."""

_INDEXED: Final = ("source_key", "target", "state", "run_id", "committed_at")

_COUNTS: Final = pa.schema([("target", pa.string()), ("state", pa.string()), ("count", pa.int64())])


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


class Catalog:
    """The catalog of one archive. It travels between processes as the archive's URL."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._renditions = CatalogTable(store, RENDITIONS_PREFIX, RENDITIONS, indexed=_INDEXED)
        self._runs = CatalogTable(store, RUNS_PREFIX, RUNS, indexed=("run_id", "started_at"))

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

    def pending(
        self,
        batch: pa.RecordBatch,
        targets: Sequence[str],
        *,
        retry: Collection[State] = (),
        circumstances: Collection[str] = (),
    ) -> pa.RecordBatch:
        """What of an inventory batch is certainly new, changed, or lacks one of the targets.

        Args:
            batch: Of `listing.SCHEMA`.
            targets: Names, each of which must be done.
            retry: States that do not count as done, such as quarantined.
            circumstances: Those of the run. What was decided under others does not count as done;
                empty if they do not matter.

        Returns:
            Of the same schema, sorted by key.
        """
        return self.difference(batch, targets, retry=retry, circumstances=circumstances).pending

    def difference(
        self,
        batch: pa.RecordBatch,
        targets: Sequence[str],
        *,
        retry: Collection[State] = (),
        circumstances: Collection[str] = (),
        verify: bool = False,
    ) -> Difference:
        """Compare an inventory batch with what is done.

        Args:
            batch: Of `listing.SCHEMA`.
            targets: Names, each of which must be done.
            retry: States that do not count as done, such as quarantined.
            circumstances: See `pending`.
            verify: Whether sources that look unchanged are doubtful as well.
        """
        if not batch.num_rows:
            return Difference(batch, ())
        low, high = sql.key_range(batch.column("key"))
        again = f"AND NOT {sql.any_of('state', sorted(retry))}" if retry else ""
        if circumstances and self._renditions.has_column("depends_on"):
            same = sql.any_of("depends_on", sorted(circumstances))
            again += f" AND (depends_on IS NULL OR {same})"
        passing = sql.any_of("coalesce(error_class, '')", LOOKED_AT_AGAIN)
        wanted = set(targets)
        text = (
            "SELECT source_key AS key, min(source_etag) AS lowest, max(source_etag) AS highest,"  # noqa: S608
            " CASE WHEN min(source_sha256) = max(source_sha256)"
            " AND count(source_sha256) = count(*) THEN min(source_sha256) END AS sha256"
            f" FROM {sql.TABLE}"
            f" WHERE source_key >= {sql.literal(low)} AND source_key <= {sql.literal(high)}"
            f" AND {sql.any_of('target', sorted(wanted))} {again}"
            f" AND NOT {passing}"
            f" GROUP BY source_key HAVING count(DISTINCT target) = {len(wanted)}"
        )
        done = pa.Table.from_batches(sql.query(self._renditions.current(), text, DONE), schema=DONE)
        return difference_of(batch, done, verify=verify)

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

    def check_condition(self, where: str) -> None:
        """Refuse a condition that rows cannot be asked for by.

        Raises:
            UsageError: It is not SQL, or names columns that there are not.
        """
        sql.check_condition(self._renditions.current(), where)

    def batches(
        self,
        where: str | None = None,
        *,
        keys: Sequence[str] = (),
        sources: Sequence[str] = (),
        state: State | None = None,
        target: str | None = None,
        between: tuple[str, str] | None = None,
        columns: Sequence[str] = (),
    ) -> Iterator[pa.RecordBatch]:
        """Rows as Arrow batches of `RENDITIONS`, sorted by source key and target.

        All rows of a large catalog come range by range of source keys, so that only some are in
        memory, and each range as it is when its turn comes: a reader may take hours.

        Args:
            where: SQL condition on the columns.
            keys: Source keys or globs (`*` crosses `/`); empty for all.
            sources: Source keys and nothing else, whatever they look like; empty for all.
            state: Only rows in this state.
            target: Only rows of this target.
            between: Only rows of sources from the first key to the last.
            columns: Only these; with globs as `keys`, the source key must be among them.

        Raises:
            UsageError: The condition is wrong.
            StorageError: The table cannot be read.
        """
        conditions = ["TRUE"]
        if where is not None:
            self.check_condition(where)
            conditions.append(f"({where}\n)")
        if keys and not any(sql.is_glob(key) for key in keys):
            keys, sources = (), keys
        if sources:  # the range as well, since by it files are passed over
            low, high = map(sql.literal, (min(sources), max(sources)))
            conditions.append(f"source_key >= {low} AND source_key <= {high}")
            conditions.append(sql.any_of("source_key", sources))
        if state is not None:
            conditions.append(f"state = {sql.literal(state)}")
        if target is not None:
            conditions.append(f"target = {sql.literal(target)}")
        if between is not None:
            low, high = map(sql.literal, between)
            conditions.append(f"source_key >= {low} AND source_key <= {high}")
        schema = pa.schema([RENDITIONS.field(name) for name in columns or RENDITIONS.names])
        for part in ("TRUE",) if sources or between else self._ranges():
            text = (
                f"SELECT {self._renditions.select_list(columns)} FROM {sql.TABLE}"  # noqa: S608
                f" WHERE {' AND '.join([*conditions, part])} ORDER BY source_key, target"
            )
            for batch in sql.query(self._renditions.current(), text, schema):
                yield sql.matching(batch, keys) if keys else batch

    def _ranges(self, lowest: str = "") -> Iterator[str]:
        """SQL conditions that part the source keys from the lowest on, in the order of keys."""
        above = "TRUE"
        for last in sql.cuts(self._renditions.files("source_key"), ROWS_AT_ONCE):
            if last >= lowest:
                yield f"{above} AND source_key <= {sql.literal(last)}"
            above = f"source_key > {sql.literal(last)}"
        yield above

    def rows(
        self,
        where: str | None = None,
        *,
        keys: Sequence[str] = (),
        sources: Sequence[str] = (),
        state: State | None = None,
        target: str | None = None,
        between: tuple[str, str] | None = None,
        columns: Sequence[str] = (),
    ) -> Iterator[CatalogRow]:
        """Rows as records, in which columns that are left out are None; see `batches`."""
        for batch in self.batches(
            where,
            keys=keys,
            sources=sources,
            state=state,
            target=target,
            between=between,
            columns=columns,
        ):
            yield from to_rows(batch)

    def page(self, search: Search, after: Position | None, count: int) -> Page:
        """Some rows behind a position, by source key and target.

        Ranges of source keys before the position are not read, and those behind are read until
        the page is full.

        Args:
            search: Which rows.
            after: The last row that was seen; None to begin.
            count: Rows of the page, at most.

        Raises:
            StorageError: The table cannot be read.
        """
        conditions = search.conditions() or ["TRUE"]
        if after is not None:
            conditions.append(after.condition())
        schema = pa.schema([RENDITIONS.field(name) for name in LIGHT])
        lowest = max(after.source_key if after else "", search.prefix or "")
        found: list[CatalogRow] = []
        for part in self._ranges(lowest):
            text = (
                f"SELECT {self._renditions.select_list(LIGHT)} FROM {sql.TABLE}"  # noqa: S608
                f" WHERE {' AND '.join([*conditions, part])} ORDER BY source_key, target"
                f" LIMIT {count + 1 - len(found)}"
            )
            for batch in sql.query(self._renditions.current(), text, schema):
                found += to_rows(batch)
            if len(found) > count:
                last = found[count - 1]
                return Page(found[:count], Position(last.source_key, last.target))
        return Page(found, None)

    def written_by(self, run_id: str, *, between: tuple[str, str]) -> list[CatalogRow]:
        """The rows a run has committed so far, of sources from the first key to the last.

        This is how a step that is tried again learns what its first try finished.
        """
        mine = f"run_id = {sql.literal(run_id)}"
        return list(self.rows(mine, between=between))

    def counts(self) -> Mapping[str, Mapping[State, int]]:
        """How many rows there are, by target and state."""
        text = (
            f"SELECT target, state, count(*) AS count FROM {sql.TABLE}"  # noqa: S608
            " GROUP BY target, state ORDER BY target, state"
        )
        found: dict[str, dict[State, int]] = {}
        for batch in sql.query(self._renditions.current(), text, _COUNTS):
            for entry in batch.to_pylist():
                found.setdefault(entry["target"], {})[entry["state"]] = entry["count"]
        return found

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

    def runs(self) -> list[RunRecord]:
        """All runs, the earliest first."""
        text = f"SELECT {self._runs.select_list()} FROM {sql.TABLE} ORDER BY started_at, run_id"  # noqa: S608
        batches = sql.query(self._runs.current(), text, RUNS)
        return [RunRecord(**values) for batch in batches for values in batch.to_pylist()]
