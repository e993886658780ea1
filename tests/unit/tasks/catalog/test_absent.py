"""Commits that pass over files of which planning has seen that they hold none of their keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.catalog import RENDITIONS, Catalog, CatalogRow, open_catalog
from tasks.catalog.absent import NOTHING_KNOWN, Absent
from tasks.catalog.schema import to_arrow
from tasks.collection.listing import SCHEMA
from tasks.storage import open_store
from tests.rows import row
from tests.unit.tasks.catalog.tables import join_files, looked_into, uri_of


def _open(folder: Path) -> Catalog:
    return open_catalog(open_store(str(folder)))


@dataclass(frozen=True)
class Planned:
    """What a run has planned: the rows that it will commit, and what it knows."""

    rows: list[CatalogRow]
    absent: Absent


def _plan(catalog: Catalog, listed: dict[str, str], targets: list[str], run: str) -> Planned:
    files = catalog.files
    rows = [
        {"key": key, "size": 1, "etag": etag, "trouble": None, "reason": None}
        for key, etag in sorted(listed.items())
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    pending = catalog.difference(batch, targets, retry=["quarantined"]).pending.to_pylist()
    made = [
        row(one["key"], target, source_etag=one["etag"], run_id=run, shard_id=run)
        for one in pending
        for target in targets
    ]
    return Planned(made, Absent(frozenset(one["key"] for one in pending if one["new"]), files))


def _clean(catalog: Catalog) -> None:
    """As `maintain` does long after: no earlier version can be read."""
    table = DeltaTable(uri_of(catalog))
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
    table.create_checkpoint()
    table.cleanup_metadata()


def _rows(catalog: Catalog) -> list[tuple[str, str, str, str]]:
    found = open_catalog(catalog.store).rows()
    return [(one.source_key, one.target, one.source_etag, one.run_id) for one in found]


def _filled(folder: Path) -> Catalog:
    """Four files, each over a part of the alphabet, and one over all of it."""
    catalog = _open(folder)
    for letter in "bdfh":
        catalog.commit_shard(letter, [row(f"{letter}1"), row(f"{letter}9")])
    catalog.commit_shard("all", [row("a"), row("z")])
    return catalog


SPREAD = {f"{letter}5": "e" for letter in "bdfhk"}


def test_new_keys_spread_over_the_table_open_no_file_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = _filled(tmp_path)
    planned = _plan(catalog, SPREAD, ["x2", "x4"], "run")
    looked = looked_into(monkeypatch)
    assert catalog.commit_shards([("s", planned.rows)], absent=planned.absent)
    assert looked == []
    own = catalog.files - planned.absent.files
    assert not catalog.commit_shards([("s", planned.rows)], absent=planned.absent)
    assert (looked, len(own)) == ([*own], 1), "the second time only into what the first one wrote"
    looked.clear()
    assert not catalog.commit_shards([("s", planned.rows)])
    assert len(looked) == 6, "without what planning knows: into all"


def test_a_file_that_was_compacted_since_is_looked_into_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = _filled(tmp_path)
    mine, theirs = (_plan(catalog, SPREAD, ["x2"], run) for run in ("mine", "theirs"))
    assert catalog.commit_shards([("s", theirs.rows)], absent=theirs.absent)
    join_files(catalog)
    _clean(catalog)
    assert not catalog.files & mine.absent.files
    looked = looked_into(monkeypatch)
    assert not catalog.commit_shards([("s", mine.rows)], absent=mine.absent)
    assert set(looked) == catalog.files
    assert {one.run_id for one in catalog.rows(sources=list(SPREAD))} == {"theirs"}


def test_what_has_a_row_is_not_new_whatever_row_that_is(tmp_path: Path) -> None:
    catalog = _open(tmp_path)
    held: list[Any] = [
        row("changed", source_etag="old"),
        row("kept", state="kept"),
        row("lacks a target"),
        row("of another target", "x8"),
        row("quarantined", state="quarantined"),
        row("to be looked at again", state="quarantined", error_class="SourceVanished"),
    ]
    catalog.commit_shard("s", held)
    listed = {one.source_key: "e" for one in held} | {"new": "e"}
    planned = _plan(catalog, listed, ["x2", "x4"], "run")
    assert {one.source_key for one in planned.rows} == set(listed)
    assert planned.absent.keys == {"new"}


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
HOSTILE = st.lists(
    KEYS | KEYS.map(lambda key: key * 700) | st.sampled_from(["%41", "%2541", "a'b", 'a"\\', "é"]),
    min_size=2,
    max_size=6,
    unique=True,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(keys=HOSTILE, other=KEYS, writer=st.sampled_from(["commit", "append", "merge"]))
def test_no_key_of_any_text_that_any_release_wrote_is_taken_for_new(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str], other: str, writer: str
) -> None:
    """Earlier releases appended and merged by deltalake, which cuts long keys in ranges."""
    catalog = _open(tmp_path_factory.mktemp("archive"))
    made = [row(key) for key in keys]
    rows = to_arrow(made, RENDITIONS, committed_at=[datetime.now(UTC)] * len(keys))
    if writer == "commit":
        catalog.commit_shard("s", made)
    elif writer == "append":
        write_deltalake(uri_of(catalog), rows, mode="append")
    else:
        DeltaTable(uri_of(catalog)).merge(
            rows, "old.source_key = new.source_key", source_alias="new", target_alias="old"
        ).when_not_matched_insert_all().execute()
    planned = _plan(catalog, dict.fromkeys({*keys, other}, "later"), ["x2"], "run")
    assert planned.absent.keys == {other} - set(keys)


LISTED = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["e1", "e2"]), min_size=1)
TARGETS = st.sampled_from([["x2"], ["x2", "x4"]])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("plan"), LISTED, TARGETS),
        st.tuples(st.just("commit"), st.integers(0, 5), st.integers(1, 4)),
        st.tuples(st.just("join")),
        st.tuples(st.just("clean")),
        st.tuples(st.just("marks"), LISTED),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=LISTED, steps=STEPS)
def test_any_order_of_plans_and_commits_ends_as_without_what_is_known(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, str],
    steps: list[tuple[Any, ...]],
) -> None:
    """Runs plan when they like, and commit parts of it whenever and as often as they like."""
    fast, slow = (_open(tmp_path_factory.mktemp("archive")) for _ in range(2))
    for catalog in (fast, slow):
        first = [row(key, source_etag=etag, run_id="before") for key, etag in before.items()]
        catalog.commit_shard("before", first)
    plans: list[Planned] = []
    for step in [*steps, *(("commit", number, 1) for number in range(len(steps)))]:
        match step:
            case ("plan", listed, targets):
                plans.append(_plan(fast, listed, targets, f"run-{len(plans)}"))
            case ("commit", which, parts_of_it) if plans:
                planned = plans[which % len(plans)]
                rows = planned.rows[::parts_of_it]
                written = [
                    catalog.commit_shards([("s", rows)], absent=known)
                    for catalog, known in ((fast, planned.absent), (slow, NOTHING_KNOWN))
                ]
                assert written[0] == written[1]
            case ("join",):
                join_files(fast)
            case ("clean",):
                _clean(fast)
            case ("marks", listed):
                for catalog in (fast, slow):
                    later = [row(key, source_etag=etag) for key, etag in listed.items()]
                    catalog.commit_shard("later", later)
    assert _rows(fast) == _rows(slow)
