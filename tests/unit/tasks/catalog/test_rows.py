"""A row has the fields of its state and no others, in memory and in the table."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from rescaling_core.errors import MetadataError
from tasks.catalog import RENDITIONS, Archived, CatalogRow, Kept, Quarantined
from tasks.catalog.schema import schema_of_any, to_arrow, to_rows
from tests.rows import row

NOW = datetime(2026, 5, 17, tzinfo=UTC)


def _table(*rows: CatalogRow) -> pa.Table:
    return to_arrow(rows, RENDITIONS, committed_at=[NOW] * len(rows))


def _with_null(table: pa.Table, name: str) -> pa.Table:
    place, column = table.schema.get_field_index(name), RENDITIONS.field(name)
    return table.set_column(place, column, pa.nulls(len(table), column.type))


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (row("a.png", psnr_y=31.5, quality=80, origin="source"), Archived),
        (row("a.png", state="kept", psnr_y=28.0, codec="webp", depends_on="max_pixels=9"), Kept),
        (row("a.png", state="quarantined", depends_on="max_pixels=9"), Quarantined),
    ],
)
def test_a_row_comes_back_from_the_table_as_what_it_was(made: CatalogRow, kind: type) -> None:
    (found,) = to_rows(_table(made))
    assert type(found) is kind
    assert found == replace(made, committed_at=NOW)


def test_every_field_is_a_column_and_what_a_state_has_no_field_for_is_null() -> None:
    kinds = (Archived, Kept, Quarantined)
    assert {one.name for kind in kinds for one in fields(kind)} == set(RENDITIONS.names)
    for state, kind in zip(("archived", "kept", "quarantined"), kinds, strict=True):
        (written,) = _table(row(state=state)).to_pylist()
        has = {one.name for one in fields(kind)}
        assert {name for name, value in written.items() if value is not None} <= has
        assert written["state"] == state


@pytest.mark.parametrize(
    ("name", "nothing"), [("lr_key", ""), ("lr_bytes", 0), ("scale", 0.0), ("width", 0)]
)
def test_a_row_that_lacks_what_it_must_have_names_nothing_and_hides_no_other(
    name: str, nothing: Any
) -> None:
    """It is then found missing by those who look for what it names."""
    damaged = _with_null(_table(row("a.png")), name)
    first, second = to_rows(pa.concat_tables([damaged, _table(row("b.png"))]))
    assert getattr(first, name) == nothing
    assert second.source_key == "b.png"


def test_a_state_that_a_later_release_may_know_is_named() -> None:
    table = _table(row("a.png"))
    place = table.schema.get_field_index("state")
    table = table.set_column(place, RENDITIONS.field("state"), pa.array(["moved"]))
    with pytest.raises(MetadataError, match=r"a\.png at x2: its state is 'moved'"):
        to_rows(table)


def test_fields_of_one_name_and_two_types_are_refused() -> None:
    @dataclass
    class One:
        size: int

    @dataclass
    class Other:
        size: str

    with pytest.raises(ValueError, match="size: a column of two types"):
        schema_of_any([One, Other], order=())
