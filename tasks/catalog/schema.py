"""The tables of a catalog: their columns, and how records become rows of them and back.

The tables are Delta Lake: DuckDB, Polars and Spark read them as they are. Columns are only ever
added, nullable, at the end.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
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
from rescaling_core.quality.scores import names_in_order
from tasks.catalog.rows import Archived, CatalogRow, Kept, Quarantined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIME: Final = pa.timestamp("us", tz="UTC")

_KINDS: Final = {str: pa.string(), int: pa.int64(), float: pa.float64(), datetime: TIME}


def schema_of(record: type) -> pa.Schema:
    """The columns of a table, from the fields of the dataclass that is its row.

    A field that may be None is a column that may be null. `Annotated` states what the type of a
    field does not say: another Arrow type, or `never null`.
    """
    hints = get_type_hints(record, include_extras=True)
    return pa.schema([_column(name, hints[name]) for name in names_in_order(record)])


def schema_of_any(records: Sequence[type], order: Sequence[str]) -> pa.Schema:
    """The columns of a table whose rows are records of several dataclasses.

    A field that some of them lack is a column that may be null.

    Args:
        records: The dataclasses. Fields of one name have the same type in all of them, but for
            being None.
        order: Names of columns in the order they have in the table. Fields that are not named here
            are the last columns.

    Raises:
        ValueError: Two of them do not agree on a column.
    """
    schemas = [schema_of(record) for record in records]
    columns = dict.fromkeys(order)
    for name in [name for schema in schemas for name in schema.names]:
        having = [schema.field(name) for schema in schemas if name in schema.names]
        if any(one.type != having[0].type for one in having):
            raise ValueError(f"{name}: a column of two types")
        nullable = len(having) < len(records) or any(one.nullable for one in having)
        columns[name] = having[0].with_nullable(nullable)
    return pa.schema(columns.values())


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


_KINDS_OF_ROWS: Final[Mapping[str, type[CatalogRow]]] = {
    "archived": Archived,
    "kept": Kept,
    "quarantined": Quarantined,
}
"""By state."""

RENDITIONS: Final = schema_of_any(
    (Archived, Kept, Quarantined),
    # As they were added, release by release; a measure that is added later is the last column.
    order=(
        *("source_key", "source_etag", "source_size", "source_sha256", "target", "state"),
        *("reason", "error_class", "lr_key", "lr_bytes", "lr_sha256", "rescaler"),
        *("weights_sha256", "scale", "codec", "quality", "psnr_y", "ssim_y", "width", "height"),
        *("mode", "metadata_json", "seconds", "shard_id", "run_id", "committed_at"),
        *("ssimulacra2", "refinement", "strategies_json", "origin", "depends_on"),
        *("pack_key", "pack_offset"),
    ),
)
"""Columns of `renditions`: the fields of all rows, with the meaning that they have there."""

_TAKEN: Final = {
    kind: [one.name for one in fields(kind) if one.init] for kind in _KINDS_OF_ROWS.values()
}
"""Columns that each kind of row takes."""

_NOTHING: Final = {pa.string(): "", pa.int32(): 0, pa.int64(): 0, pa.float64(): 0.0}

_NEEDED: Final = {
    kind: {
        one.name: _NOTHING[RENDITIONS.field(one.name).type]
        for one in fields(kind)
        if one.init and one.default is MISSING
    }
    for kind in _KINDS_OF_ROWS.values()
}
"""Columns that no row of a kind may lack, and what stands for nothing in them."""

LIGHT: Final = tuple(
    name for name in RENDITIONS.names if name not in ("metadata_json", "strategies_json")
)
"""Columns of `renditions` but for those that are nearly all of its bytes."""

RUNS: Final = schema_of(RunRecord)
"""Columns of `runs`, in the order and with the meaning of `RunRecord`'s fields."""


def to_arrow(records: Sequence[Any], schema: pa.Schema, **instead: Sequence[Any]) -> pa.Table:
    """Records (`CatalogRow`, `RunRecord`) as a table, with null where a record lacks the column.

    Args:
        records: Their fields are columns of `schema`.
        schema: `RENDITIONS` or `RUNS`.
        **instead: Columns to take in place of the records' own.
    """
    columns = [
        instead[name] if name in instead else [getattr(record, name, None) for record in records]
        for name in schema.names
    ]
    return pa.table(columns, schema=schema)


def to_rows(batch: pa.RecordBatch | pa.Table) -> list[CatalogRow]:
    """Rows of a table as records; columns that a later release may have added are passed over.

    Args:
        batch: Rows of `renditions`, with all of its columns or with those of `LIGHT`.

    Raises:
        MetadataError: A row is in a state that this release does not know.
    """
    names = [name for name in RENDITIONS.names if name in batch.schema.names]
    return [_row_of(values) for values in _measured(batch.select(names)).to_pylist()]


def _row_of(values: Mapping[str, Any]) -> CatalogRow:
    state = values["state"]
    if state not in _KINDS_OF_ROWS:
        raise MetadataError(
            f"catalog: {values['source_key']} at {values['target']}: its state is {state!r}, not "
            f"one of {', '.join(_KINDS_OF_ROWS)}; a later release may know it"
        )
    kind = _KINDS_OF_ROWS[state]
    taken: dict[str, Any] = {name: values.get(name) for name in _TAKEN[kind]}
    for name, nothing in _NEEDED[kind].items():
        # Nobody wrote such a row. It is read as one that names nothing, as what it lacks is then
        # found missing by those who look, one by one, and stops nobody from reading the others.
        if taken[name] is None:
            taken[name] = nothing
    return kind(**taken)


def _measured(batch: pa.RecordBatch | pa.Table) -> pa.RecordBatch | pa.Table:
    """The same rows; a measure that is not a number was not measured."""
    for place, field in enumerate(batch.schema):
        if pa.types.is_floating(field.type):
            column = batch.column(place)
            if pc.any(pc.is_nan(column)).as_py():
                number = pc.if_else(pc.is_nan(column), pa.scalar(None, field.type), column)
                batch = batch.set_column(place, field, number)
    return batch
