"""The catalog on local files: what is one row, what is replaced, what is pending."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, Field
from deltalake.schema import PrimitiveType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rescaling_core.errors import UsageError
from tasks.catalog import LIGHT, RENDITIONS, RUNS, Catalog, CatalogRow, RunRecord, open_catalog
from tasks.catalog import query as sql
from tasks.catalog.delta import COMPACT_EVERY
from tasks.catalog.table import RENDITIONS_PREFIX
from tasks.collection import listing as inventory
from tasks.collection.shards import PENDING
from tasks.storage import StorageError, open_store
from tests.rows import row


@pytest.fixture
def catalog(tmp_path) -> Catalog:
    return open_catalog(open_store(str(tmp_path / "archive")))


def _row(key: str = "a.png", target: str = "x2", **values) -> CatalogRow:
    return row(key, target, **{"source_etag": "e1", "source_size": 10} | values)


def _batch(*sources: tuple[str, str]) -> pa.RecordBatch:
    keys, etags = [key for key, _ in sources], [etag for _, etag in sources]
    none = [None] * len(keys)
    return pa.record_batch([keys, [10] * len(keys), etags, none, none], schema=inventory.SCHEMA)


def _keys(batch: pa.RecordBatch) -> list[str]:
    return batch.column("key").to_pylist()


def test_a_row_comes_back_as_it_went_in(catalog):
    full = _row(
        "ü/ö 1.png",
        source_sha256="ab" * 32,
        lr_bytes=5,
        lr_sha256="cd" * 32,
        rescaler="irn-x2-lite",
        weights_sha256="ef" * 32,
        scale=2.0,
        codec="webp",
        quality=80,
        psnr_y=38.25,
        ssim_y=0.97,
        width=640,
        height=480,
        mode="RGB",
        metadata_json=json.dumps({"schema": 1, "note": "'quoted' \\ ü"}),
        seconds=1.5,
    )
    before = datetime.now(UTC)
    assert catalog.commit_shard("s1", [full, _row("z", state="kept", reason="not smaller")])
    second, first = catalog.rows()
    assert before - timedelta(seconds=1) <= first.committed_at <= datetime.now(UTC)
    assert replace(first, committed_at=None) == full
    assert replace(second, committed_at=None) == _row("z", state="kept", reason="not smaller")


def test_the_columns_are_those_that_earlier_releases_wrote_and_new_ones_at_the_end() -> None:
    text, number, small, measure = "string", "int64", "int32", "double"
    always = {"source_key": text, "source_etag": text, "source_size": number, "target": text}
    always |= {"state": text, "shard_id": text, "run_id": text}
    always |= {"committed_at": "timestamp[us, tz=UTC]"}
    assert {one.name: str(one.type) for one in RENDITIONS if not one.nullable} == always
    nullable = [(one.name, str(one.type)) for one in RENDITIONS if one.nullable]
    assert nullable[:22] == [
        ("source_sha256", text),
        ("reason", text),
        ("error_class", text),
        ("lr_key", text),
        ("lr_bytes", number),
        ("lr_sha256", text),
        ("rescaler", text),
        ("weights_sha256", text),
        ("scale", measure),
        ("codec", text),
        ("quality", small),
        ("psnr_y", measure),
        ("ssim_y", measure),
        ("width", small),
        ("height", small),
        ("mode", text),
        ("metadata_json", text),
        ("seconds", measure),
        ("ssimulacra2", measure),
        ("refinement", small),
        ("strategies_json", text),
        ("origin", text),
    ]
    assert {str(one.type) for one in RUNS} == {text, number, "timestamp[us, tz=UTC]"}
    assert not any(one.nullable for one in RUNS)


def test_the_same_shard_again_changes_nothing(catalog):
    rows = [_row(), _row(target="x4"), _row("b.png", state="quarantined", reason="truncated")]
    assert catalog.commit_shard("s1", rows)
    version = catalog.version
    assert not catalog.commit_shard("s1", rows)
    assert not catalog.commit_shard("another", rows[1:])
    assert not catalog.commit_shard("empty", [])
    assert catalog.version == version
    assert len(list(catalog.rows())) == 3


def test_of_overlapping_shards_only_the_new_rows_are_added_and_the_first_stay(catalog):
    catalog.commit_shard("s1", [_row("a"), _row("b")])
    assert catalog.commit_shard("s2", [_row("b", lr_key="later"), _row("c")])
    assert [(row.source_key, row.lr_key) for row in catalog.rows()] == [
        ("a", "a-x2"),
        ("b", "b-x2"),
        ("c", "c-x2"),
    ]


def test_a_changed_source_replaces_its_row_and_changing_back_does_too(catalog):
    catalog.commit_shard("s1", [_row(), _row("b")])
    for etag in ("e2", "e1"):
        assert _keys(catalog.pending(_batch(("a.png", etag), ("b", "e1")), ["x2"])) == ["a.png"]
        assert catalog.commit_shard("s1", [_row(source_etag=etag, lr_key=etag)])
        assert [row.lr_key for row in catalog.rows(keys=["a.png"])] == [etag]
    assert len(list(catalog.rows())) == 2


def test_quarantine_gives_way_to_success_and_nothing_gives_way_to_quarantine(catalog):
    bad = _row(state="quarantined", reason="truncated", error_class="UnreadableImageError")
    catalog.commit_shard("s1", [bad])
    assert not catalog.commit_shard("s1", [replace(bad, reason="again")])
    assert catalog.commit_shard("s1", [_row()])
    assert not catalog.commit_shard("s1", [bad])
    assert [row.state for row in catalog.rows()] == ["archived"]


def test_two_rows_for_one_source_and_target_in_a_shard_are_a_bug(catalog):
    with pytest.raises(ValueError, match=r"2 rows for a\.png, target x2"):
        catalog.commit_shard("s1", [_row(), _row()])
    assert list(catalog.rows()) == []


def test_pending_is_what_is_new_changed_or_lacks_a_target(catalog):
    catalog.commit_shard(
        "s1",
        [
            _row("done"),
            _row("done", "x4"),
            _row("half"),
            _row("changed"),
            _row("changed", "x4"),
            _row("bad", state="quarantined"),
            _row("bad", "x4", state="quarantined"),
            _row("kept", state="kept"),
            _row("kept", "x4"),
        ],
    )
    listed = _batch(*[(k, "e1") for k in ("bad", "done", "half", "kept", "new")], ("changed", "e2"))
    pending = catalog.pending(listed, ["x2", "x4"])
    assert pending.schema == PENDING
    assert pending.column("new").to_pylist() == [False, False, True]
    assert _keys(pending) == ["changed", "half", "new"]
    assert pending.column("etag").to_pylist() == ["e2", "e1", "e1"]
    assert _keys(catalog.pending(listed, ["x2"])) == ["changed", "new"]
    assert _keys(catalog.pending(listed, ["x3"])) == sorted(_keys(listed))
    retried = catalog.pending(listed, ["x2", "x4"], retry=["quarantined"])
    assert _keys(retried) == ["bad", "changed", "half", "new"]


def test_pending_of_nothing_is_nothing(catalog):
    assert catalog.pending(_batch(), ["x2"]).num_rows == 0
    assert _keys(catalog.pending(_batch(("a", "e")), ["x2"])) == ["a"]


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(keys=st.lists(KEYS, min_size=1, max_size=6, unique=True))
def test_keys_of_any_text_are_committed_found_and_not_pending(tmp_path_factory, keys):
    catalog = open_catalog(open_store(str(tmp_path_factory.mktemp("archive"))))
    extra = "'; \\ \" % _ -- \n"
    rows = [_row(key) for key in [*keys, extra]]
    assert catalog.commit_shard("s", rows)
    assert not catalog.commit_shard("s", rows)
    listed = _batch(*[(key, "e1") for key in sorted({*keys, extra})], ("\U0010ffff" * 30, "e1"))
    assert _keys(catalog.pending(listed, ["x2"])) == ["\U0010ffff" * 30]
    assert [row.source_key for row in catalog.rows()] == sorted({*keys, extra})
    assert [row.source_key for row in catalog.rows(keys=[extra])] == [extra]


def test_rows_are_chosen_by_condition_key_glob_state_and_target(catalog):
    catalog.commit_shard(
        "s1",
        [
            _row("2024/a.jpg", psnr_y=30.0),
            _row("2024/a.jpg", "x4", psnr_y=25.0),
            _row("2025/b.jpg", psnr_y=40.0),
            _row("2025/c.png", state="kept", reason="not smaller"),
        ],
    )

    def found(*args, **options):
        return [(row.source_key, row.target) for row in catalog.rows(*args, **options)]

    assert found("psnr_y > 28 and source_key like '2024/%'") == [("2024/a.jpg", "x2")]
    assert found("psnr_y > 28 -- a comment") == [("2024/a.jpg", "x2"), ("2025/b.jpg", "x2")]
    assert found(keys=["2025/b.jpg", "nothing"]) == [("2025/b.jpg", "x2")]
    assert found(keys=["*.jpg"], target="x2") == [("2024/a.jpg", "x2"), ("2025/b.jpg", "x2")]
    assert found(keys=["2024/*", "2025/c.png"], target="x2") == [
        ("2024/a.jpg", "x2"),
        ("2025/c.png", "x2"),
    ]
    assert found(state="kept") == [("2025/c.png", "x2")]
    assert catalog.counts() == {"x2": {"archived": 2, "kept": 1}, "x4": {"archived": 1}}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    commits=st.lists(
        st.lists(st.tuples(KEYS, st.sampled_from(["x2", "x4"])), min_size=1, unique=True),
        min_size=1,
        max_size=6,
    ),
    at_once=st.integers(1, 5),
)
def test_a_large_table_is_read_range_by_range_each_row_once_and_in_order(
    tmp_path_factory, commits, at_once
):
    catalog = open_catalog(open_store(str(tmp_path_factory.mktemp("archive"))))
    for number, rows in enumerate(commits):
        catalog.commit_shard(f"s{number}", [_row(key, target) for key, target in rows])
    queries = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.catalog.reading.ROWS_AT_ONCE", at_once)
        query = sql.query
        patch.setattr(sql, "query", lambda *given: queries.append(given) or query(*given))
        found = [(row.source_key, row.target) for row in catalog.rows()]
        some = [row.source_key for row in catalog.rows(target="x4")]
    written = sorted({row for rows in commits for row in rows})
    assert found == written
    assert some == [key for key, target in written if target == "x4"]
    if len(written) > at_once:
        assert len(queries) > 2


def test_an_empty_table_has_no_rows(catalog):
    assert list(catalog.rows()) == []


def test_columns_that_are_left_out_are_null(catalog):
    catalog.commit_shard("s", [_row(metadata_json="{}", strategies_json="{}", rescaler="bicubic")])
    (light,) = catalog.rows(columns=LIGHT)
    (full,) = catalog.rows()
    assert (light.metadata_json, light.strategies_json) == (None, None)
    assert light == replace(full, metadata_json=None, strategies_json=None)


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("nosuch = 1", "nosuch"),
        ("psnr_y >", "SQL error"),
        ("source_key", "non-boolean"),
        ("", "empty"),
        ("true); DROP TABLE renditions; --", "SQL error"),
    ],
)
def test_a_wrong_condition_is_one_clear_error(catalog, condition, reason):
    catalog.commit_shard("s1", [_row()])
    with pytest.raises(UsageError, match=reason) as caught:
        list(catalog.rows(condition))
    assert "\n" not in str(caught.value)
    assert len(list(catalog.rows())) == 1


def test_an_archive_that_is_not_there_is_refused_and_nothing_is_made(tmp_path):
    with pytest.raises(UsageError, match="no archive there"):
        open_catalog(open_store(str(tmp_path / "typo")), create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_catalogs_is_refused():
    with pytest.raises(StorageError, match="a catalog cannot be kept there"):
        open_catalog(open_store("memory://archive"))


def test_a_catalog_travels_between_processes_as_a_url(catalog):
    catalog.commit_shard("s1", [_row()])
    again = pickle.loads(pickle.dumps(catalog))
    assert again.commit_shard("s2", [_row("b")])
    assert [row.source_key for row in catalog.rows()] == ["a.png", "b"]


def test_opening_twice_makes_one_catalog(tmp_path):
    store = open_store(str(tmp_path))
    open_catalog(store).commit_shard("s1", [_row()])
    assert len(list(open_catalog(store).rows())) == 1


def test_duckdb_and_polars_read_the_tables_as_they_are(catalog, tmp_path):
    catalog.commit_shard("s1", [_row("a", psnr_y=30.0), _row("b", psnr_y=40.0)])
    catalog.commit_shard("s2", [_row("a", source_etag="e2", psnr_y=32.0)])  # rewrites a file
    folder = str(tmp_path / "archive" / "catalog" / "renditions")
    frame = pl.read_delta(folder)
    assert sorted(frame["psnr_y"].to_list()) == [32.0, 40.0]
    assert frame.schema["committed_at"] == pl.Datetime("us", "UTC")
    rows = DeltaTable(folder).to_pyarrow_dataset()  # noqa: F841 - DuckDB sees the variable
    assert duckdb.sql("SELECT sum(psnr_y) FROM rows").fetchall() == [(72.0,)]


def test_runs_are_recorded_once_in_order(catalog):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    runs = [
        RunRecord(
            run_id=f"run-{number}",
            job="archive",
            started_at=start + timedelta(days=number),
            finished_at=start + timedelta(days=number, seconds=9),
            software="refold 0",
            listed=4,
            archived=1,
            kept=1,
            quarantined=1,
            unchanged=1,
            source_bytes=100,
            stored_bytes=10,
            parameters_json="{}",
        )
        for number in range(2)
    ]
    for run in (runs[1], runs[0], runs[1]):
        catalog.record_run(run)
    assert catalog.runs() == runs


def test_files_of_many_commits_are_joined_and_no_row_is_lost(catalog, tmp_path):
    for number in range(COMPACT_EVERY + 5):
        catalog.commit_shard(f"s{number}", [_row(f"{number:03}")])
    assert [row.source_key for row in catalog.rows()] == [
        f"{number:03}" for number in range(COMPACT_EVERY + 5)
    ]
    table = DeltaTable(str(tmp_path / "archive" / "catalog" / "renditions"))
    assert len(table.file_uris()) < 10
    assert not catalog.commit_shard("again", [_row("000")])


def test_a_table_that_lost_a_file_is_reported_not_read_around(catalog, tmp_path):
    catalog.commit_shard("s1", [_row()])
    for file in (tmp_path / "archive" / "catalog" / "renditions").glob("*.parquet"):
        file.unlink()
    with pytest.raises(StorageError, match="cannot read the table"):
        list(catalog.rows())


def test_a_catalog_of_an_earlier_release_is_read_and_added_to(tmp_path, monkeypatch):
    later = ("ssimulacra2", "refinement", "strategies_json")
    earlier = pa.schema([field for field in RENDITIONS if field.name not in later])
    monkeypatch.setattr("tasks.catalog.table.RENDITIONS", earlier)
    store = open_store(str(tmp_path / "archive"))
    open_catalog(store).commit_shard("s1", [_row("a", psnr_y=31.5)])
    monkeypatch.undo()

    catalog = open_catalog(store, create=False)
    (row,) = catalog.rows()
    assert (row.psnr_y, row.ssimulacra2, row.strategies_json) == (31.5, None, None)
    assert catalog.commit_shard("s2", [_row("b", ssimulacra2=71.5, refinement=4)])
    first, second = open_catalog(store).rows(keys=["a", "b"])
    assert (first.source_key, first.ssimulacra2) == ("a", None)
    assert (second.ssimulacra2, second.refinement) == (71.5, 4)


def test_a_catalog_of_a_later_release_is_read_and_added_to(catalog):
    catalog.commit_shard("s1", [_row("a"), _row("b")])
    for table in catalog.tables:
        later = Field("of_the_future", PrimitiveType("string"), nullable=True)
        table.current().alter.add_columns([later])
    reopened = open_catalog(open_store(catalog.tables[0].uri.removesuffix(RENDITIONS_PREFIX)))
    assert reopened.commit_shard("s2", [_row("b", source_etag="e2"), _row("c")])
    assert [(row.source_key, row.source_etag) for row in reopened.rows()] == [
        ("a", "e1"),
        ("b", "e2"),
        ("c", "e1"),
    ]
    now = datetime.now(UTC)
    counts = dict.fromkeys(("listed", "archived", "kept", "quarantined", "unchanged"), 1)
    sizes = {"source_bytes": 1, "stored_bytes": 1, "parameters_json": "{}"}
    times = {"started_at": now, "finished_at": now, "software": "refold"}
    reopened.record_run(RunRecord(run_id="r-1", job="archive", **counts, **sizes, **times))
    assert [run.run_id for run in reopened.runs()] == ["r-1"]


def test_batches_hold_the_columns_asked_for(catalog):
    for number, keys in enumerate(("db", "ca")):
        catalog.commit_shard(f"s{number}", [_row(key, lr_bytes=ord(key)) for key in keys])
    narrow = pa.Table.from_batches(
        catalog.batches(where="source_key <> 'b'", columns=("lr_bytes", "source_key"))
    )
    assert narrow.schema.names == ["lr_bytes", "source_key"]
    assert narrow.column("source_key").to_pylist() == ["a", "c", "d"]
    assert all(one["lr_bytes"] == ord(one["source_key"]) for one in narrow.to_pylist())
