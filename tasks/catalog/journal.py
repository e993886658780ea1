"""The account of retirements: a table that is only ever added to, in the archive's own storage.

It lies beside the catalog, not in it: a catalog can be rebuilt, this cannot. Like the catalog it is
a Delta table, which DuckDB, Polars and Spark read as it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from itertools import product
from math import inf
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
from deltalake import write_deltalake

from rescaling_core import limits
from rescaling_core.errors import MetadataError
from rescaling_core.quality.scores import MEASURES, Scores
from tasks.catalog import query as sql
from tasks.catalog.delta import CatalogTable
from tasks.catalog.schema import TIME, to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deltalake import CommitProperties, DeltaTable

    from tasks.storage import Store

PREFIX: Final = "retirements"

Event = Literal["marked", "released", "deleting", "deleted", "moving", "moved"]
"""Proven and marked; a mark taken back; proven again, about to be deleted; deleted, and seen gone;
about to be moved to another storage class; moved, and seen there. A `deleting` that no `deleted`
follows, or a `moving` without `moved`, is a run that was killed in between; the next one finds out.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof(Scores):
    """A rendition that was restored from storage and compared with the source."""

    target: str
    lr_key: str
    """Key of the LR object, relative to the archive."""
    lr_sha256: str
    lr_bytes: int
    rescaler: str
    weights_sha256: str
    psnr_y: float
    """PSNR-Y in dB, as measured by this check; infinite if the restoration is exact."""
    ssim_y: float
    max_abs_error: int
    """Error of the worst sample, in levels of 255."""

    @property
    def rendition(self) -> tuple[str, str, str]:
        """What was restored, whatever it measured."""
        return self.target, self.lr_key, self.lr_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of the journal."""

    event: Event
    at: datetime
    run_id: str
    collection: str
    """URL or absolute path of the sources."""
    source_key: str
    source_etag: str
    source_size: int
    """Size of the source in bytes."""
    source_sha256: str
    proofs: tuple[Proof, ...] = ()
    """The proofs the event rests on; empty in a `released`."""
    reason: str | None = None
    """Why a mark was taken back, or how a deletion was found out."""
    storage_class: str | None = None
    """Into which the source was moved, or is about to be."""


SCHEMA: Final = pa.schema(
    [
        pa.field("event", pa.string(), nullable=False),
        pa.field("at", TIME, nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("collection", pa.string(), nullable=False),
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("source_etag", pa.string(), nullable=False),
        pa.field("source_size", pa.int64(), nullable=False),
        pa.field("source_sha256", pa.string(), nullable=False),
        pa.field("proofs_json", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("storage_class", pa.string()),
    ]
)
"""Columns of the journal, with the meaning of `Entry`'s fields; `proofs` as a JSON array."""


class Journal:
    """The journal of one archive."""

    def __init__(self, archive: Store) -> None:
        self._table = CatalogTable(
            archive, PREFIX, SCHEMA, indexed=("source_key", "event", "collection", "at")
        )

    def exists(self) -> bool:
        """Whether anything was ever marked here."""
        return self._table.exists()

    def add(self, entries: Sequence[Entry]) -> None:
        """Add entries in one commit.

        Raises:
            StorageError: Nothing of it was written.
        """
        if not entries:
            return
        proofs = [_proofs_json(entry.proofs) for entry in entries]
        bare = SCHEMA.remove(SCHEMA.get_field_index("proofs_json"))
        data = to_arrow(entries, bare).append_column(SCHEMA.field("proofs_json"), [proofs])
        data = data.select(SCHEMA.names)

        def append(table: DeltaTable, properties: CommitProperties) -> bool:
            write_deltalake(  # "merge": a later release may have added columns
                table, data, mode="append", schema_mode="merge", commit_properties=properties
            )
            return True

        self._table.create()
        self._table.commit(append, entries[0].run_id)

    def entries(
        self, collection: str | None = None, *, between: tuple[str, str] | None = None
    ) -> Iterator[Entry]:
        """Entries, the earliest first.

        Args:
            collection: Only of these sources.
            between: Only of sources from the first key to the last.
        """
        conditions = ["TRUE"]
        if collection is not None:
            conditions.append(f"collection = {sql.literal(collection)}")
        if between is not None:
            low, high = map(sql.literal, between)
            conditions.append(f"source_key >= {low} AND source_key <= {high}")
        yield from self._select(" AND ".join(conditions))

    def knows(self, collection: str) -> bool:
        """Whether sources of it were ever deleted."""
        condition = f"collection = {sql.literal(collection)} AND event = 'deleted'"
        return any(True for _ in self._select(condition, limit=1))

    def unfinished(self, collection: str) -> list[Entry]:
        """Every `deleting` or `moving` that nothing else about its source follows."""
        mine = f"collection = {sql.literal(collection)}"
        later = (
            f"SELECT 1 FROM {sql.TABLE} AS later WHERE later.source_key = {sql.TABLE}.source_key"  # noqa: S608
            f" AND later.{mine} AND later.event IN ('deleted', 'moved', 'marked', 'released')"
            f" AND later.at >= {sql.TABLE}.at"
        )
        begun = "event IN ('deleting', 'moving')"
        return list(self._select(f"{mine} AND {begun} AND NOT EXISTS ({later})"))

    def _select(self, condition: str, limit: int | None = None) -> Iterator[Entry]:
        if not self.exists():
            return
        text = (
            f"SELECT {self._table.select_list()} FROM {sql.TABLE} WHERE {condition}"  # noqa: S608
            f" ORDER BY at, source_key {'' if limit is None else f'LIMIT {limit}'}"
        )
        for batch in sql.query(self._table.current(), text, SCHEMA):
            for values in batch.to_pylist():
                proofs = _proofs(values.pop("proofs_json"))
                yield Entry(**values, proofs=proofs)


def _proofs_json(proofs: Sequence[Proof]) -> str:
    documents = [
        {name: value for name, value in asdict(proof).items() if value is not None}
        for proof in proofs
    ]
    for document, name in product(documents, MEASURES):
        if document.get(name) == inf:
            document[name] = "inf"  # JSON has no such number
    return json.dumps(documents, allow_nan=False)


def _proofs(text: str) -> tuple[Proof, ...]:
    """Fields a later release may have added are passed over."""
    names = {field.name for field in fields(Proof)}

    def proof(document: dict[str, Any]) -> Proof:
        values = {name: value for name, value in document.items() if name in names}
        for name, measure in MEASURES.items():
            if values.get(name) is not None and not measure.whole:
                values[name] = float(values[name])
        return Proof(**values)

    try:
        return tuple(map(proof, limits.read_json(text)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MetadataError(f"journal of retirements: proofs are damaged: {error}") from error
