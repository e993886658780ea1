"""The tables of a catalog: their columns, in Arrow and as records.

The tables are Delta Lake: DuckDB, Polars and Spark read them as they are. Columns are only ever
added, nullable, at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from rescaling_core import limits
from rescaling_core.errors import MetadataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

State = Literal["archived", "kept", "quarantined"]
"""How a source ended for a target. Every listed source ends in exactly one of them."""

Origin = Literal["source", "restored image"]

TIME: Final = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRow:
    """What became of one source for one target: a row of the table `renditions`."""

    source_key: str
    """Relative to the collection."""
    source_etag: str
    """The store's change mark when the source was listed."""
    source_size: int
    """Bytes."""
    source_sha256: str | None = None
    """Of the source's bytes; None if they could not be read."""
    target: str
    """Such as `x2`. With `source_key` it identifies the row."""
    state: State
    reason: str | None = None
    """Why kept or in quarantine."""
    error_class: str | None = None
    """Of what put it into quarantine."""
    lr_key: str | None = None
    """Of the LR object, relative to the archive."""
    lr_bytes: int | None = None
    lr_sha256: str | None = None
    rescaler: str | None = None
    weights_sha256: str | None = None
    scale: float | None = None
    """HR side / LR side."""
    codec: str | None = None
    quality: int | None = None
    """On the codec's own scale; None if it has none."""
    psnr_y: float | None = None
    """dB, of the restoration against the source; of the best candidate where it is kept."""
    ssim_y: float | None = None
    width: int | None = None
    """Pixels of the HR image."""
    height: int | None = None
    mode: str | None = None
    """Pixel mode of the HR image, such as RGB."""
    metadata_json: str | None = None
    """The whole restoration metadata, as embedded in the LR file."""
    seconds: float | None = None
    """Spent on the conversion."""
    shard_id: str
    run_id: str
    committed_at: datetime | None = None
    """Set by the commit."""
    ssimulacra2: float | None = None
    """Points, where the floor asked for it."""
    refinement: int | None = None
    """Steps by which the LR image was refined; None for none."""
    strategies_json: str | None = None
    """What each strategy of the plan would have stored; see `tasks.catalog.strategies`. LR files do
    not hold it, so that rows of a rebuilt catalog lack it."""
    origin: Origin | None = None
    """What the rendition was made from, and its measures compare with; None where there is none,
    and in rows of before this column was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run of a job: a row of the table `runs`."""

    run_id: str
    job: str
    """`archive`, `backfill`, ..."""
    started_at: datetime
    finished_at: datetime
    software: str
    listed: int
    """Sources in the collection. archived + kept + quarantined + unchanged make it up."""
    archived: int
    kept: int
    quarantined: int
    unchanged: int
    source_bytes: int
    """Of the archived sources."""
    stored_bytes: int
    """Of their LR objects."""
    parameters_json: str
    """What the job was asked for; no credentials."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What the job was asked for.

        Raises:
            MetadataError: The catalog does not hold it in a form that can be read.
        """
        try:
            found = limits.read_json(self.parameters_json)
        except ValueError as error:
            raise MetadataError(f"catalog: parameters of run {self.run_id}: {error}") from error
        if not isinstance(found, dict):
            raise MetadataError(f"catalog: parameters of run {self.run_id}: no JSON object")
        return found


def _field(name: str, kind: pa.DataType, *, null: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=null)


RENDITIONS: Final = pa.schema(
    [
        _field("source_key", pa.string(), null=False),
        _field("source_etag", pa.string(), null=False),
        _field("source_size", pa.int64(), null=False),
        _field("source_sha256", pa.string()),
        _field("target", pa.string(), null=False),
        _field("state", pa.string(), null=False),
        _field("reason", pa.string()),
        _field("error_class", pa.string()),
        _field("lr_key", pa.string()),
        _field("lr_bytes", pa.int64()),
        _field("lr_sha256", pa.string()),
        _field("rescaler", pa.string()),
        _field("weights_sha256", pa.string()),
        _field("scale", pa.float64()),
        _field("codec", pa.string()),
        _field("quality", pa.int32()),
        _field("psnr_y", pa.float64()),
        _field("ssim_y", pa.float64()),
        _field("width", pa.int32()),
        _field("height", pa.int32()),
        _field("mode", pa.string()),
        _field("metadata_json", pa.string()),
        _field("seconds", pa.float64()),
        _field("shard_id", pa.string(), null=False),
        _field("run_id", pa.string(), null=False),
        _field("committed_at", TIME, null=False),
        _field("ssimulacra2", pa.float64()),
        _field("refinement", pa.int32()),
        _field("strategies_json", pa.string()),
        _field("origin", pa.string()),
    ]
)
"""Columns of `renditions`, in the order and with the meaning of `CatalogRow`'s fields."""

LIGHT: Final = tuple(
    name for name in RENDITIONS.names if name not in ("metadata_json", "strategies_json")
)
"""Columns of `renditions` but for those that are nearly all of its bytes."""

RUNS: Final = pa.schema(
    [
        _field("run_id", pa.string(), null=False),
        _field("job", pa.string(), null=False),
        _field("started_at", TIME, null=False),
        _field("finished_at", TIME, null=False),
        _field("software", pa.string(), null=False),
        _field("listed", pa.int64(), null=False),
        _field("archived", pa.int64(), null=False),
        _field("kept", pa.int64(), null=False),
        _field("quarantined", pa.int64(), null=False),
        _field("unchanged", pa.int64(), null=False),
        _field("source_bytes", pa.int64(), null=False),
        _field("stored_bytes", pa.int64(), null=False),
        _field("parameters_json", pa.string(), null=False),
    ]
)
"""Columns of `runs`, in the order and with the meaning of `RunRecord`'s fields."""


def to_arrow(records: Sequence[Any], schema: pa.Schema, **fixed: Any) -> pa.Table:
    """Records (`CatalogRow`, `RunRecord`) as a table.

    Args:
        records: All of one class, whose fields are the columns of `schema`.
        schema: `RENDITIONS` or `RUNS`.
        **fixed: Values that replace a column.
    """
    columns = [
        [fixed[name]] * len(records)
        if name in fixed
        else [getattr(record, name) for record in records]
        for name in schema.names
    ]
    return pa.table(columns, schema=schema)


def to_rows(batch: pa.RecordBatch | pa.Table) -> list[CatalogRow]:
    """The other way; columns a later release may have added are passed over."""
    names = [field.name for field in fields(CatalogRow) if field.name in batch.schema.names]
    return [CatalogRow(**values) for values in _measured(batch.select(names)).to_pylist()]


def _measured(batch: pa.RecordBatch | pa.Table) -> pa.RecordBatch | pa.Table:
    """The same rows; a measure that is not a number was not measured."""
    for place, field in enumerate(batch.schema):
        if pa.types.is_floating(field.type):
            column = batch.column(place)
            if pc.any(pc.is_nan(column)).as_py():
                number = pc.if_else(pc.is_nan(column), pa.scalar(None, field.type), column)
                batch = batch.set_column(place, field, number)
    return batch
