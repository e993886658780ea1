"""Comparing a part of a listing with the catalog: first what is certainly done, then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from tasks.catalog import query as sql
from tasks.catalog.difference import (
    HELD,
    MARKS,
    Difference,
    difference_of,
    marked,
    without_unchanged,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tasks.catalog.delta import CatalogTable

LOOKED_AT_AGAIN: Final = (
    "FileUnreadable",
    "FolderUnreadable",
    "ObjectUnreadableError",
    "SourceChanged",
    "SourceVanished",
)
"""Reasons for quarantine that may pass while the listing stays the same: each run looks again."""

NAMED: Final = 4096
"""Keys that a query names one by one; of more than these it only says the range."""


def compare(
    table: CatalogTable,
    batch: pa.RecordBatch,
    targets: Sequence[str],
    *,
    retry: Collection[str] = (),
    circumstances: Collection[str] = (),
    verify: bool = False,
) -> Difference:
    """Compare an inventory batch with what is done; see `CatalogReader.difference`.

    Nearly all of a listing is unchanged as a rule. That is seen from the rows' marks as they are.
    What is left takes a query that looks at all rows of each source together, and is slower.
    """
    if not batch.num_rows:
        return Difference(marked(batch, new=True), ())
    wanted = sorted(set(targets))
    again = f"AND NOT {sql.any_of('state', sorted(retry))}" if retry else ""
    if circumstances and table.has_column("depends_on"):
        same = sql.any_of("depends_on", sorted(circumstances))
        again += f" AND (depends_on IS NULL OR {same})"
    passing = sql.any_of("coalesce(error_class, '')", LOOKED_AT_AGAIN)
    counts = f"{sql.any_of('target', wanted)} {again} AND NOT {passing}"
    if not verify:
        text = (
            "SELECT source_key AS key, source_etag AS etag, target"  # noqa: S608
            f" FROM {sql.TABLE} WHERE {_among(batch)} AND {counts}"
        )
        marks = sql.query(table.current(), text, MARKS)
        rows = pa.Table.from_batches(marks, schema=MARKS)
        batch = without_unchanged(batch, rows, targets=len(wanted))
        if not batch.num_rows:
            return Difference(marked(batch, new=True), ())
    etag, digest, target = (
        f"CASE WHEN {counts} THEN {column} END"
        for column in ("source_etag", "source_sha256", "target")
    )
    text = (
        f"SELECT key, count(DISTINCT target) = {len(wanted)} AS done,"  # noqa: S608
        " min(etag) AS lowest, max(etag) AS highest, CASE WHEN min(digest) = max(digest)"
        " AND count(digest) = count(target) THEN min(digest) END AS sha256 FROM"
        f" (SELECT source_key AS key, {etag} AS etag, {digest} AS digest, {target} AS target"
        f" FROM {sql.TABLE} WHERE {_among(batch)}) GROUP BY key"
    )
    held = pa.Table.from_batches(sql.query(table.current(), text, HELD), schema=HELD)
    return difference_of(batch, held, verify=verify)


def _among(batch: pa.RecordBatch) -> str:
    """SQL: the rows of these sources, and maybe of others between them."""
    keys = batch.column("key")
    low, high = map(sql.literal, sql.key_range(keys))
    within = f"source_key >= {low} AND source_key <= {high}"
    if len(keys) > NAMED:
        return within
    return f"{within} AND {sql.any_of('source_key', keys.to_pylist())}"
