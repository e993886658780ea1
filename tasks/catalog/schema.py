"""The tables of a catalog: their columns, in Arrow and as records.

The tables are Delta Lake: DuckDB, Polars and Spark read them as they are. Columns are only ever
added, nullable, at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import pyarrow as pa
import pyarrow.compute as pc

from rescaling_core import limits
from rescaling_core.errors import MetadataError
from rescaling_core.quality.scores import Scores, names_in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

State = Literal["archived", "kept", "quarantined"]
"""How a source ended for a target. Every listed source ends in exactly one of them."""

Origin = Literal["source", "restored image"]

TIME: Final = pa.timestamp("us", tz="UTC")

Int32 = Annotated[int, pa.int32()]
"""A number whose column takes 32 bits."""

Committed = Annotated[datetime | None, "never null"]
"""A time that a record lacks until the commit sets it."""

_KINDS: Final = {str: pa.string(), int: pa.int64(), float: pa.float64(), datetime: TIME}


def schema_of(record: type) -> pa.Schema:
    """The columns of a table, from the fields of the dataclass that is its row.

    A field that may be None is a column that may be null. `Annotated` states what the type of a
    field does not say: another Arrow type, or `never null`.
    """
    hints = get_type_hints(record, include_extras=True)
    return pa.schema([_column(name, hints[name]) for name in names_in_order(record)])


def _column(name: str, hint: Any) -> pa.Field:
    stated: Sequence[Any] = ()
    if get_origin(hint) is Annotated:
        hint, *stated = get_args(hint)
    union = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    (kind,) = (one for one in union if one is not NoneType)
    if get_origin(kind) is Annotated:
        kind, *stated = get_args(kind)
    arrow = next((one for one in stated if isinstance(one, pa.DataType)), None)
    if arrow is None:
        arrow = _KINDS[type(get_args(kind)[0]) if get_origin(kind) is Literal else kind]
    return pa.field(name, arrow, nullable=NoneType in union and "never null" not in stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRow(Scores):
    """What became of one source for one target: a row of the table `renditions`.

    The columns of measures that are not named here are the last ones.
    """

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
    quality: Int32 | None = None
    """On the codec's own scale; None if it has none."""
    psnr_y: float | None = None
    """dB, of the restoration against the source; of the best candidate where it is kept."""
    ssim_y: float | None = None
    width: Int32 | None = None
    """Pixels of the HR image."""
    height: Int32 | None = None
    mode: str | None = None
    """Pixel mode of the HR image, such as RGB."""
    metadata_json: str | None = None
    """The whole restoration metadata, as embedded in the LR file."""
    seconds: float | None = None
    """Spent on the conversion."""
    shard_id: str
    run_id: str
    committed_at: Committed = None
    """Set by the commit."""
    ssimulacra2: float | None = None
    """Points, where the floor asked for it."""
    refinement: Int32 | None = None
    """Steps by which the LR image was refined; None for none."""
    strategies_json: str | None = None
    """What each strategy of the plan would have stored; see `tasks.catalog.strategies`. LR files do
    not hold it, so that rows of a rebuilt catalog lack it."""
    origin: Origin | None = None
    """What the rendition was made from, and its measures compare with; None where there is none,
    and in rows of before this column was."""
    depends_on: str | None = None
    """Of what is kept or in quarantine for a reason that may pass: the circumstances, such as
    `max_pixels=200000000`. None where they do not matter, and in rows of before this column was."""


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
            raise MetadataError(f"catalog: parameters of run {self.run_id}: not a JSON object")
        return found


RENDITIONS: Final = schema_of(CatalogRow)
"""Columns of `renditions`, in the order and with the meaning of `CatalogRow`'s fields."""

LIGHT: Final = tuple(
    name for name in RENDITIONS.names if name not in ("metadata_json", "strategies_json")
)
"""Columns of `renditions` but for those that are nearly all of its bytes."""

RUNS: Final = schema_of(RunRecord)
"""Columns of `runs`, in the order and with the meaning of `RunRecord`'s fields."""


def to_arrow(records: Sequence[Any], schema: pa.Schema, **instead: Sequence[Any]) -> pa.Table:
    """Records (`CatalogRow`, `RunRecord`) as a table.

    Args:
        records: All of one class, whose fields are the columns of `schema`.
        schema: `RENDITIONS` or `RUNS`.
        **instead: Columns to take in place of the records' own.
    """
    columns = [
        instead[name] if name in instead else [getattr(record, name) for record in records]
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
