"""Garbage goes after its grace period; what a row names never does."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rescaling_core.errors import UsageError
from tasks.catalog import open_catalog
from tasks.catalog.upkeep import keep_up
from tasks.control.ages import parse_age, parse_grace
from tasks.jobs.maintain import steps as maintenance
from tasks.jobs.maintain.retention import extend_retention
from tasks.jobs.maintain.tally import MaintainTally
from tasks.storage import StorageError, open_store
from tests.small_archive import SmallArchive, small_archive

WEEK = timedelta(days=7)


def _clean(made: SmallArchive, before: datetime, *, dry_run: bool = False) -> MaintainTally:
    keys = maintenance.find_garbage.fn(made.archive, made.catalog, before)
    return maintenance.remove_garbage.fn(made.archive, keys, before, dry_run=dry_run)


def _keys(made: SmallArchive) -> set[str]:
    return {info.key for info in made.archive.list("renditions/")}


def test_only_old_objects_that_no_row_names_are_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "refold")
    made = small_archive(str(tmp_path), tmp_path, 2)
    first = made.rows()[0]
    made.source.put(first.source_key, made.source.get(first.source_key) + b"touched")
    made.run("x2", run_id="run-2")
    made.archive.put("renditions/x2/a/young.png", b"a run is about to commit this")
    made.archive.put("renditions/x2/a/old.png", b"a killed run left this")
    month_ago = (datetime.now(UTC) - timedelta(days=30)).timestamp()
    for key in _keys(made) - {"renditions/x2/a/young.png"}:  # those that rows name are old too
        os.utime(tmp_path / "archive" / key, (month_ago, month_ago))
    before = maintenance.cutoff(WEEK)
    garbage = {first.lr_key, "renditions/x2/a/old.png"}
    all_keys = _keys(made)

    size = (first.lr_bytes or 0) + len(b"a killed run left this")
    removed = MaintainTally(removed_objects=2, removed_bytes=size)
    assert _clean(made, before, dry_run=True) == removed
    assert _keys(made) == all_keys
    assert caplog.messages == [], "nothing was deleted"
    assert _clean(made, before) == removed
    assert _keys(made) == all_keys - garbage
    assert sorted(told.split(":")[0] for told in caplog.messages) == sorted(
        f"deleted {key}" for key in garbage
    )
    assert {row.lr_key for row in made.rows()} <= _keys(made)
    assert _clean(made, before) == MaintainTally()


def test_what_was_written_again_meanwhile_stays(tmp_path: Path) -> None:
    made = small_archive(str(tmp_path), tmp_path, 1)
    made.archive.put("renditions/x2/a/old.png", b"left")
    os.utime(tmp_path / "archive/renditions/x2/a/old.png", (1e9, 1e9))
    before = maintenance.cutoff(WEEK)
    keys = maintenance.find_garbage.fn(made.archive, made.catalog, before)
    made.archive.put(keys[0], b"left")
    assert maintenance.remove_garbage.fn(made.archive, keys, before) == MaintainTally()


def test_a_catalog_that_names_nothing_is_not_taken_at_its_word(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.put("renditions/x2/a/b.png", b"precious")
    catalog = open_catalog(store)
    with pytest.raises(UsageError, match="refold rebuild"):
        maintenance.find_garbage.fn(store, catalog, datetime.now(UTC))


def test_tables_are_compacted_and_keep_their_rows(tmp_path: Path) -> None:
    made = small_archive(str(tmp_path), tmp_path, 1)
    for target in ("long-edge=8", "long-edge=16", "long-edge=24"):
        made.run(target)
    rows = made.rows()
    counted = keep_up(made.catalog, WEEK, dry_run=True)
    assert counted.files_after == counted.files_before > 2
    done = keep_up(made.catalog, WEEK)
    assert done.files_after < done.files_before
    assert done.files_removed == 0  # all are younger than a week
    assert made.rows() == rows
    told: list[str] = []
    removed = keep_up(made.catalog, timedelta(0), removed=told.append).files_removed
    assert removed == len(told) > 0
    assert not any(Path(path).exists() for path in told)
    assert made.rows() == rows


def test_objects_on_s3_have_an_age_and_a_retention_where_their_bucket_can(
    tmp_path: Path,
    moto_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = small_archive(moto_url, tmp_path, 1)
    made.archive.put("renditions/x2/a/left.png", b"left")
    assert _clean(made, maintenance.cutoff(WEEK)) == MaintainTally()
    assert _clean(made, datetime.now(UTC) + timedelta(hours=1)) == MaintainTally(
        removed_objects=1, removed_bytes=4
    )
    assert keep_up(made.catalog, WEEK).files_removed == 0
    assert len(made.rows()) == 1
    assert extend_retention.fn(made.archive, made.catalog) == MaintainTally()
    monkeypatch.setenv("REFOLD_RETENTION", '{"": "GOVERNANCE 90d"}')
    refused = extend_retention.fn(made.archive, made.catalog)
    networks = len(list(made.archive.list("models/")))
    assert refused == MaintainTally(unretained=1 + networks), "the bucket has no Object Lock"
    assert len([told for told in caplog.messages if "renew the retention" in told]) == 1


def test_ages_are_hours_days_and_weeks() -> None:
    assert parse_age("36h") == timedelta(hours=36)
    assert parse_age("2w") == timedelta(days=14)
    for wrong in ("7", "d", "-1d", "1.5d", "7 d", ""):
        with pytest.raises(UsageError, match="age"):
            parse_age(wrong)
    assert parse_grace("1h") == timedelta(hours=1)
    with pytest.raises(UsageError, match="at least 1h"):
        parse_grace("0d")


def test_nothing_behind_a_link_is_listed_or_removed(tmp_path: Path) -> None:
    made = small_archive(f"{tmp_path}/mine", tmp_path, 1)
    victim = tmp_path / "victim"
    victim.mkdir()
    for name in ("photo.png", ".0123456789abcdef.refold-tmp", "part-0.parquet"):
        (victim / name).write_bytes(b"not of this archive")
        os.utime(victim / name, (1e9, 1e9))
    renditions = Path(made.archive_url) / "renditions"
    (renditions / "x9").symlink_to(victim)
    (renditions / "x2" / "deep").symlink_to(victim)
    (renditions / "x2" / "one.png").symlink_to(victim / "photo.png")
    before = maintenance.cutoff(WEEK)
    assert _clean(made, before) == MaintainTally()
    assert maintenance.remove_unfinished.fn(made.archive, before) == MaintainTally()
    stray = ["renditions/x9/photo.png", "renditions/x2/deep/photo.png"]
    assert maintenance.remove_garbage.fn(made.archive, stray, before) == MaintainTally()
    assert len(list(victim.iterdir())) == 3


def test_a_table_that_a_link_leads_out_of_is_not_vacuumed(tmp_path: Path) -> None:
    made = small_archive(f"{tmp_path}/mine", tmp_path, 1)
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "part-0.parquet").write_bytes(b"not of this archive")
    os.utime(victim / "part-0.parquet", (1e9, 1e9))
    link = Path(made.archive_url) / "catalog" / "renditions" / "way"
    link.symlink_to(victim)
    with pytest.raises(StorageError, match="an archive holds no links"):
        keep_up(made.catalog, WEEK)
    assert (victim / "part-0.parquet").exists()
    link.unlink()
    keep_up(made.catalog, WEEK)


def test_a_catalog_behind_a_link_is_refused(tmp_path: Path) -> None:
    made = small_archive(f"{tmp_path}/mine", tmp_path, 1)
    tables = Path(made.archive_url) / "catalog"
    tables.rename(tmp_path / "elsewhere")
    tables.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="links are not followed"):
        open_catalog(made.archive, create=False)
