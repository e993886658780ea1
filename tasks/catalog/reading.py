"""Reading a catalog: rows, pages of rows, counts, runs, and what of a listing is not done yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tasks.catalog import query as sql
from tasks.catalog.comparing import compare
from tasks.catalog.paging import Page, Position, Search
from tasks.catalog.rows import Archived
from tasks.catalog.schema import LIGHT, RENDITIONS, RUNS, RunRecord, to_rows
from tasks.catalog.totals import STEPS, Totals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from tasks.catalog.delta import CatalogTable
    from tasks.catalog.difference import Difference
    from tasks.catalog.rows import CatalogRow, State

ROWS_AT_ONCE: Final = 65_536
"""Rows that a reader of the whole table has in memory: 250 MiB with their metadata."""

_COUNTS: Final = pa.schema([("target", pa.string()), ("state", pa.string()), ("count", pa.int64())])


class CatalogReader:
    """What can be asked of a catalog. Nothing here writes."""

    def __init__(self, renditions: CatalogTable, runs: CatalogTable) -> None:
        self._renditions = renditions
        self._runs = runs

    def check_condition(self, where: str) -> None:
        """Refuse a condition that rows cannot be asked for by.

        Raises:
            UsageError: It is not SQL, or names columns that there are not.
        """
        sql.check_condition(self._renditions.current(), where)

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
        return compare(
            self._renditions,
            batch,
            targets,
            retry=retry,
            circumstances=circumstances,
            verify=verify,
        )

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
        """Rows as records; see `batches`. `columns` are all, or `LIGHT`, or those and more."""
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

    def archived(
        self, where: str | None = None, *, sources: Sequence[str] = ()
    ) -> Iterator[Archived]:
        """The rows of what is archived, with all columns; see `batches`."""
        for row in self.rows(where, sources=sources, state="archived"):
            if isinstance(row, Archived):
                yield row

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

    def folders(self, prefix: str, most: int = 1000) -> list[str]:
        """The folders right below a prefix that hold something restorable, in order.

        Args:
            prefix: How the source keys begin; a folder ends at the next slash behind it.
            most: Folders, at most.

        Raises:
            StorageError: The table cannot be read.
        """
        conditions = " AND ".join(Search(prefix=prefix, restorable=True).conditions())
        behind = f"substr(source_key, {len(prefix) + 1})"
        text = (
            f"SELECT DISTINCT split_part({behind}, '/', 1) AS target"  # noqa: S608
            f" FROM {sql.TABLE} WHERE {conditions} AND strpos({behind}, '/') > 0"
            f" ORDER BY target LIMIT {most}"
        )
        schema = pa.schema([("target", pa.string())])
        batches = sql.query(self._renditions.current(), text, schema)
        return [f"{prefix}{name}/" for batch in batches for name in batch.column(0).to_pylist()]

    def row_count(self) -> int:
        """How many rows there are, as the table's log says it: no row is read."""
        return sum(rows for _, rows in self._renditions.files("source_key"))

    def totals(self) -> Totals:
        """Bytes and qualities of all that is archived.

        Raises:
            StorageError: The table cannot be read.
        """
        text = (
            "SELECT CASE WHEN psnr_y IS NULL THEN -1 WHEN psnr_y > 99 THEN 99"  # noqa: S608
            " ELSE CAST(floor(psnr_y / 2) * 2 AS INT) END AS step, count(*) AS count,"
            " CAST(coalesce(sum(source_size), 0) AS BIGINT) AS sources,"
            " CAST(coalesce(sum(lr_bytes), 0) AS BIGINT) AS stored"
            f" FROM {sql.TABLE} WHERE state = 'archived' GROUP BY 1 ORDER BY 1"
        )
        batches = sql.query(self._renditions.current(), text, STEPS)
        return Totals.of([step for batch in batches for step in batch.to_pylist()])

    def runs(self) -> list[RunRecord]:
        """All runs, the earliest first."""
        text = f"SELECT {self._runs.select_list()} FROM {sql.TABLE} ORDER BY started_at, run_id"  # noqa: S608
        batches = sql.query(self._runs.current(), text, RUNS)
        return [RunRecord(**values) for batch in batches for values in batch.to_pylist()]
