"""Comparing a listing with the catalog: the quick look takes away what the thorough one would."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.catalog import comparing, open_catalog
from tasks.catalog.difference import MARKS, Difference, without_unchanged
from tasks.collection.listing import SCHEMA
from tasks.storage import open_store
from tests.rows import row


def _listing(etags: dict[str, str]) -> pa.RecordBatch:
    rows = [
        {"key": key, "size": 1, "etag": etag, "trouble": None, "reason": None}
        for key, etag in etags.items()
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def _marks(*rows: tuple[str, str, str]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [[], [], []]
    return pa.table([list(column) for column in columns], schema=MARKS)


def _left(listing: pa.RecordBatch, rows: pa.Table, targets: int) -> list[str]:
    return without_unchanged(listing, rows, targets=targets).column("key").to_pylist()


def test_a_source_is_unchanged_if_every_target_has_a_row_of_its_mark() -> None:
    listing = _listing({"a": "1", "b": "1", "c": "1", "d": "1"})
    rows = _marks(
        ("a", "1", "x2"), ("a", "1", "x4"), ("b", "1", "x2"), ("c", "1", "x2"), ("c", "0", "x4")
    )  # fmt: skip
    assert _left(listing, rows, 2) == ["b", "c", "d"]
    assert _left(listing, rows.slice(0, 1), 1) == ["b", "c", "d"]
    assert _left(listing, _marks(), 1) == _left(listing, _marks(), 2) == ["a", "b", "c", "d"]


KEYS = st.sampled_from("abcdef")
ETAGS = st.sampled_from(["1", "2", "1-2+3+4", "1-2+5+6"])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    listed=st.dictionaries(KEYS, ETAGS, min_size=1),
    rows=st.dictionaries(st.tuples(KEYS, st.sampled_from(["x2", "x4"])), ETAGS),
    named=st.sampled_from([0, 4096]),
)
def test_the_quick_look_changes_nothing_of_what_is_found(
    tmp_path_factory: pytest.TempPathFactory,
    listed: dict[str, str],
    rows: dict[tuple[str, str], str],
    named: int,
) -> None:
    catalog = open_catalog(open_store(str(tmp_path_factory.mktemp("archive"))))
    made = [row(key, target, source_etag=etag) for (key, target), etag in rows.items()]
    catalog.commit_shard("s", made)

    def found() -> Difference:
        return catalog.difference(_listing(listed), ["x2", "x4"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "NAMED", named)
        quick = found()
        patch.setattr(comparing, "without_unchanged", lambda batch, *_rest, **_more: batch)
        thorough = found()
    assert quick.doubtful == thorough.doubtful
    assert quick.pending.to_pylist() == thorough.pending.to_pylist()


def test_all_that_is_unchanged_takes_one_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = open_catalog(open_store(str(tmp_path)))
    catalog.commit_shard("s", [row("a"), row("b")])
    asked: list[str] = []
    real = comparing.sql.query

    def noting(table: object, text: str, schema: pa.Schema):
        asked.append(text)
        return real(table, text, schema)  # type: ignore[arg-type]

    monkeypatch.setattr(comparing.sql, "query", noting)
    assert catalog.pending(_listing({"a": "e", "b": "e"}), ["x2"]).num_rows == 0
    assert len(asked) == 1
    assert catalog.pending(_listing({"a": "e", "b": "other"}), ["x2"]).num_rows == 1
    assert "IN ('b')" in asked[-1], "only what is left is asked for"
