"""Joining the small files of a table: the rows stay, whoever else writes meanwhile."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, Field
from deltalake.exceptions import CommitFailedError
from deltalake.schema import PrimitiveType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.catalog import Catalog, CatalogRow, compaction, open_catalog
from tasks.catalog.compaction import (
    deepest_overlap,
    join_small_files,
    part_overlapping,
    size_for,
    small_neighbours,
)
from tasks.catalog.parts import Part
from tasks.catalog.table import RENDITIONS_PREFIX
from tasks.catalog.upkeep import keep_up
from tasks.storage import open_store
from tests.rows import row

INDEXED = ("source_key", "target", "state", "run_id", "committed_at")
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def _catalog(folder: Path, *commits: list[str]) -> Catalog:
    catalog = open_catalog(open_store(str(folder)))
    for number, keys in enumerate(commits):
        catalog.commit_shard(f"s{number}", [_row(key) for key in keys])
    return catalog


def _row(key: str, **values: object) -> CatalogRow:
    return row(key, **{"source_size": 1} | values)


def _table(catalog: Catalog) -> DeltaTable:
    """As another process would open it."""
    return DeltaTable(catalog.store.delta_uri(RENDITIONS_PREFIX))


def _join(catalog: Catalog, table: DeltaTable, size: int = 2**20) -> bool:
    return join_small_files(table, catalog.store, RENDITIONS_PREFIX, indexed=INDEXED, size=size)


def _keys(catalog: Catalog) -> list[str]:
    return [row.source_key for row in open_catalog(catalog.store).rows()]


def test_of_two_compactions_at_once_one_succeeds_and_no_row_is_there_twice(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, ["a"], ["b"], ["c"])
    mine, theirs = _table(catalog), _table(catalog)
    assert _join(catalog, theirs)
    with pytest.raises(CommitFailedError):
        _join(catalog, mine)
    assert _keys(catalog) == ["a", "b", "c"]
    assert len(_table(catalog).file_uris()) == 1
    assert not _join(catalog, _table(catalog)), "there is one file only"


def test_a_compaction_that_a_commit_overtook_leaves_the_table_to_a_later_one(
    tmp_path: Path,
) -> None:
    catalog = _catalog(tmp_path, ["a"], ["b"])
    stale = _table(catalog)
    catalog.commit_shard("later", [_row("c")])
    with pytest.raises(CommitFailedError):
        _join(catalog, stale)
    assert _keys(catalog) == ["a", "b", "c"]
    assert _join(catalog, _table(catalog))
    assert _keys(catalog) == ["a", "b", "c"]
    keep_up(catalog, timedelta(0))  # what was written for the commit that failed goes as well
    assert len(list((tmp_path / RENDITIONS_PREFIX).glob("*.parquet"))) == 1
    assert _keys(catalog) == ["a", "b", "c"]


def test_a_commit_that_a_compaction_overtook_is_computed_again(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, ["a"], ["b"])
    table = _table(catalog)
    _join(catalog, _table(catalog))
    with pytest.raises(CommitFailedError):
        table.delete("source_key = 'a'", commit_properties=CommitProperties(max_commit_retries=0))
    catalog.commit_shard("again", [_row("a"), _row("d")])
    assert _keys(catalog) == ["a", "b", "d"]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    commits=st.lists(st.lists(KEYS, min_size=1, max_size=5, unique=True), min_size=1, max_size=6),
    size=st.sampled_from([1, 8_000, 20_000, 2**20]),
)
def test_rows_of_any_keys_stay_and_are_found_by_their_ranges(
    tmp_path_factory: pytest.TempPathFactory, commits: list[list[str]], size: int
) -> None:
    catalog = _catalog(tmp_path_factory.mktemp("archive"), *commits)
    before = list(catalog.rows())
    files = len(_table(catalog).file_uris())
    joined = _join(catalog, _table(catalog), size)
    assert joined == (len(_table(catalog).file_uris()) < files)
    catalog = open_catalog(catalog.store)
    assert list(catalog.rows()) == before
    for one in before:
        assert list(catalog.rows(between=(one.source_key, one.source_key))) == [one]
    uri = catalog.store.delta_uri(RENDITIONS_PREFIX)
    assert len(pl.read_delta(uri)) == len(before)
    rows = _table(catalog).to_pyarrow_dataset()  # noqa: F841 - DuckDB sees the variable
    assert duckdb.sql("SELECT count(*) FROM rows").fetchall() == [(len(before),)]


def test_columns_of_earlier_and_later_releases_are_kept(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, ["a"], ["b"])
    table = _table(catalog)
    table.alter.add_columns([Field("mood", PrimitiveType("string"))])
    table.merge(
        pa.table({"source_key": ["b"], "mood": ["fine"]}),
        "old.source_key = new.source_key",
        source_alias="new",
        target_alias="old",
    ).when_matched_update({"mood": "new.mood"}).execute()
    assert _join(catalog, _table(catalog))
    rows = pl.read_delta(str(table.table_uri)).sort("source_key")
    assert rows.select("source_key", "mood").rows() == [("a", None), ("b", "fine")]


def test_a_compaction_changes_no_data_for_those_who_follow_the_log(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, ["b"], ["a"])
    assert _join(catalog, _table(catalog))
    logs = sorted((tmp_path / RENDITIONS_PREFIX / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for line in logs[-1].read_text("utf-8").splitlines()]
    changes = [action[kind] for action in actions for kind in ("add", "remove") if kind in action]
    assert [change["dataChange"] for change in changes] == [False] * 3
    (added,) = (json.loads(action["add"]["stats"]) for action in actions if "add" in action)
    assert (added["minValues"]["source_key"], added["maxValues"]["source_key"]) == ("a", "b")
    assert added["numRecords"] == 2


def _part(low: str | None, high: str | None, nbytes: int = 10) -> Part:
    return Part(f"{low}-{high}", nbytes, low, high)


def _paths(parts: list[Part]) -> list[str]:
    return [part.path for part in parts]


def test_files_grow_with_the_table() -> None:
    small = compaction.SMALL
    assert size_for(0) == size_for(small * compaction.MANY_FILES) == small
    assert size_for(small * compaction.MANY_FILES + 1) == 2 * small
    assert size_for(2**50) == compaction.LARGEST


def test_small_neighbours_make_up_files_of_the_size_that_is_aimed_at() -> None:
    parts = [_part("c", "d"), _part("a", "b"), _part("e", "f", 99), _part("g", "h")]
    assert [_paths(group) for group in small_neighbours(parts, 50, 20)] == [["a-b", "c-d"]]
    assert [_paths(group) for group in small_neighbours(parts, 50, 30)] == [["a-b", "c-d", "g-h"]]
    assert list(small_neighbours([_part("a", "b")], 50, 20)) == [], "one file is none too many"


def test_the_files_that_lie_on_each_other_are_found_where_most_do() -> None:
    wide = [_part("a", "z"), _part("b", "y"), _part("c", "x")]
    narrow = [_part(low, low) for low in "adgm"]
    assert deepest_overlap([*wide, *narrow], depth=4, most=99) == []
    assert _paths(deepest_overlap([*wide, *narrow], depth=3, most=99)) == [
        "a-z",
        "b-y",
        "c-x",
        "d-d",
    ]
    assert _paths(deepest_overlap([*wide, *narrow], depth=3, most=20)) == ["a-z", "b-y"]
    assert len(deepest_overlap(wide, depth=1, most=1)) == 2, "one alone could not be parted"
    assert deepest_overlap([_part(None, None)] * 9, depth=3, most=99) == []


def test_files_whose_ranges_lie_on_each_other_end_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SMALL", 1)  # nothing is joined
    monkeypatch.setattr(compaction, "LARGEST", 9000)
    monkeypatch.setattr(compaction, "MANY_FILES", 1)
    letters = "abcdefghijkl"
    commits = [[f"{letter}{number:02}" for letter in letters] for number in range(20)]
    catalog = _catalog(tmp_path)
    for number, keys in enumerate(commits):
        catalog.commit_shard(f"s{number}", [_row(key) for key in keys])
        if number % 3 == 0:
            catalog.tables[0].compact(at_once=9)
    catalog.tables[0].compact(at_once=99)
    before = sorted(key for keys in commits for key in keys)
    assert _keys(catalog) == before
    table = _table(catalog)
    assert not part_overlapping(table, catalog.store, RENDITIONS_PREFIX, indexed=INDEXED)
    for key in before:
        over = [part for part in compaction.parts_of(table, "source_key") if _holds(part, key)]
        assert len(over) <= compaction.DEPTH
    assert catalog.commit_shard("later", [_row("f07", source_etag="later"), _row("f08x")])
    assert len(_keys(catalog)) == len(before) + 1


def _holds(part: Part, key: str) -> bool:
    return (part.low or "") <= key <= (part.high or "")


def test_of_two_that_part_the_same_files_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "DEPTH", 1)
    catalog = _catalog(tmp_path, ["a", "c"], ["b", "d"])
    mine, theirs = _table(catalog), _table(catalog)
    assert _part_overlapping(catalog, theirs)
    with pytest.raises(CommitFailedError):
        _part_overlapping(catalog, mine)
    assert _keys(catalog) == ["a", "b", "c", "d"]


def _part_overlapping(catalog: Catalog, table: DeltaTable) -> bool:
    return part_overlapping(table, catalog.store, RENDITIONS_PREFIX, indexed=INDEXED)
