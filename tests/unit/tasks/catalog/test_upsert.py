"""Commits to the catalog: what they write, what they read for it, and that a name has one row."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.catalog import RENDITIONS, Catalog, CatalogRow, open_catalog, parts, upsert
from tasks.catalog.schema import to_arrow
from tasks.catalog.table import RENDITIONS_PREFIX
from tasks.storage import StorageError, open_store
from tests.rows import row
from tests.unit.tasks.catalog.tables import join_files, looked_into, uri_of

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
COMMITS = st.lists(
    st.dictionaries(
        st.tuples(KEYS | st.sampled_from("abc"), st.sampled_from(["x2", "x4"])),
        st.sampled_from(["e1", "e2"]),
        min_size=1,
        max_size=8,
    ),
    min_size=1,
    max_size=6,
)


def _open(folder: Path) -> Catalog:
    return open_catalog(open_store(str(folder)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(commits=COMMITS, joined=st.sets(st.integers(0, 5)), group=st.sampled_from([1, 2, 8192]))
def test_each_name_has_the_row_of_the_last_commit_that_changed_it(
    tmp_path_factory: pytest.TempPathFactory,
    commits: list[dict[tuple[str, str], str]],
    joined: set[int],
    group: int,
) -> None:
    catalog = _open(tmp_path_factory.mktemp("archive"))
    expected: dict[tuple[str, str], tuple[str, str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "GROUP_ROWS", group)  # files of one row group, and of several
        for number, names in enumerate(commits):
            changed = {
                name: (etag, f"s{number}")
                for name, etag in names.items()
                if name not in expected or expected[name][0] != etag
            }
            rows: list[CatalogRow] = [
                row(key, target, source_etag=etag, shard_id=f"s{number}")
                for (key, target), etag in names.items()
            ]
            assert catalog.commit_shard(f"s{number}", rows) == bool(changed)
            expected |= changed
            if number in joined:
                join_files(catalog)
    found = [
        ((one.source_key, one.target), (one.source_etag, one.shard_id))
        for one in open_catalog(catalog.store).rows()
    ]
    assert found == sorted(expected.items())


LAST = chr(0x10FFFF)


@pytest.mark.parametrize(
    "keys",
    [["a", "b"], ["a" * 5000, "b" * 5000], [LAST * 3000], ["x", "é" * 700], ["a" * 63 + "z" * 99]],
    ids=["short", "long", "last", "accents", "cut"],
)
def test_rows_that_earlier_releases_wrote_are_found_and_replaced(
    tmp_path: Path, keys: list[str]
) -> None:
    """They were appended or merged by deltalake, which cuts long keys in the ranges of files."""
    catalog = _open(tmp_path)
    merged = [f"{key}2" for key in keys]
    now = [datetime.now(UTC)] * len(keys)
    appended = to_arrow([row(key) for key in keys], RENDITIONS, committed_at=now)
    write_deltalake(uri_of(catalog), appended, mode="append")
    new = to_arrow([row(key) for key in merged], RENDITIONS, committed_at=now)
    DeltaTable(uri_of(catalog)).merge(
        new, "old.source_key = new.source_key", source_alias="new", target_alias="old"
    ).when_not_matched_insert_all().execute()
    catalog = open_catalog(catalog.store)
    both = [*keys, *merged]
    assert not catalog.commit_shard("again", [row(key) for key in both])
    assert catalog.commit_shard("later", [row(key, source_etag="later") for key in both])
    found = [(one.source_key, one.source_etag) for one in catalog.rows()]
    assert found == [(key, "later") for key in sorted(both)]


def test_a_commit_looks_only_into_files_that_may_hold_one_of_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = _open(tmp_path)
    for letter in "bdfh":
        catalog.commit_shard(letter, [row(f"{letter}1"), row(f"{letter}9")])
    looked = looked_into(monkeypatch)
    catalog.commit_shard("between", [row("a"), row("c"), row("i")])
    assert looked == [], "its keys lie between the ranges of all files, though its range meets all"
    catalog.commit_shard("within", [row("d5"), row("z")])
    assert len(looked) == 2, "the file of d, and the one of a to i"


def test_what_is_replaced_has_its_file_written_again_and_no_other(tmp_path: Path) -> None:
    catalog = _open(tmp_path)
    catalog.commit_shard("1", [row("a"), row("b")])
    catalog.commit_shard("2", [row("c"), row("d")])
    before = set(DeltaTable(uri_of(catalog)).file_uris())
    catalog.commit_shard("3", [row("b", source_etag="later"), row("e")])
    after = set(DeltaTable(uri_of(catalog)).file_uris())
    assert (len(before - after), len(after - before)) == (1, 2)
    etags = {one.source_key: one.source_etag for one in catalog.rows()}
    assert etags == {"a": "e", "b": "later", "c": "e", "d": "e", "e": "e"}


def test_a_group_of_shards_is_one_commit_that_names_them(tmp_path: Path) -> None:
    catalog = _open(tmp_path)
    version = catalog.version
    assert catalog.commit_shards([("s1", [row("a")]), ("s2", [row("b")]), ("s3", [])])
    assert catalog.version == version + 1
    log = tmp_path / RENDITIONS_PREFIX / "_delta_log" / f"{version + 1:020}.json"
    actions = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    (info,) = (action["commitInfo"] for action in actions if "commitInfo" in action)
    assert info["refold"] == "shards s1 s2 s3"
    assert not any("txn" in action for action in actions), "each would stay in every checkpoint"
    with pytest.raises(ValueError, match="2 rows for c"):
        catalog.commit_shards([("s4", [row("c")]), ("s5", [row("c")])])
    assert len(list(catalog.rows())) == 2


def test_two_commits_computed_on_one_version_are_not_both_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looks again, and finds what the first one wrote."""
    mine, theirs = _open(tmp_path), _open(tmp_path)
    mine.commit_shard("0", [row("a"), row("c")])
    real, tries = upsert.Upsert._write, []

    def overtaken(self: upsert.Upsert, rows: object):
        tries.append(rows)
        if len(tries) == 1:
            assert theirs.commit_shard("theirs", [row("b", shard_id="theirs")])
        return real(self, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(upsert.Upsert, "_write", overtaken)
    assert not mine.commit_shard("mine", [row("b", shard_id="mine")])
    found = [(one.source_key, one.shard_id) for one in _open(tmp_path).rows()]
    assert found == [("a", "s"), ("b", "theirs"), ("c", "s")]


def test_a_file_that_is_damaged_or_gone_is_an_error_of_the_store(tmp_path: Path) -> None:
    catalog = _open(tmp_path)
    catalog.commit_shard("1", [row("a"), row("c")])
    (file,) = (tmp_path / RENDITIONS_PREFIX).glob("*.parquet")
    data = file.read_bytes()
    file.write_bytes(b"x" * len(data))
    with pytest.raises(StorageError, match="cannot commit to the table"):
        catalog.commit_shard("2", [row("b")])
    file.unlink()
    with pytest.raises(StorageError):
        catalog.commit_shard("2", [row("b")])
    file.write_bytes(data)
    assert catalog.commit_shard("2", [row("b")])
    assert [one.source_key for one in catalog.rows()] == ["a", "b", "c"]
