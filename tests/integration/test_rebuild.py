"""The catalog again from the LR objects alone."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rescaling_core.errors import UsageError
from tasks.catalog import Catalog, CatalogRow, open_catalog
from tasks.control import opening
from tasks.control.run import Run, Wave
from tasks.jobs.rebuild import steps as rebuilding
from tasks.jobs.rebuild.tally import RebuildTally
from tasks.jobs.restore.choosing import choose
from tasks.storage import StorageError, Store, open_store
from tests.command import RefoldHere
from tests.small_archive import SmallArchive, small_archive


def _rebuild(archive: Store) -> RebuildTally:
    catalog = opening.open_archive.fn(archive.url, prove=True, lost=True)
    found = rebuilding.find_lr_files.fn(archive)
    run = Run("rebuild", RebuildTally(), {})
    catalog.create()
    run.add(RebuildTally(unreadable=found.unreadable), "packs")
    for wave in run.waves(found.files, cut=len(found.files), at_least=2):
        run.add(rebuilding.rebuild_wave.fn(wave, archive, catalog, run.run_id))
    return run.tally


def _known(rows: list[CatalogRow]) -> list[CatalogRow]:
    """Rows without what only the run that made them knew."""
    return [
        replace(row, seconds=None, shard_id="", run_id="", committed_at=None, strategies_json=None)
        for row in rows
        if row.state == "archived"
    ]


def test_a_deleted_catalog_is_rebuilt_with_the_same_rows(tmp_path: Path) -> None:
    made = small_archive(str(tmp_path), tmp_path, 3, ("x2", "long-edge=32"))
    made.source.put("broken.jpg", b"\xff\xd8\xff and then nothing")
    made.run("x2", "long-edge=32")
    before = made.rows()
    assert {row.state for row in before} == {"archived", "quarantined"}
    shutil.rmtree(tmp_path / "archive" / "catalog")
    tally = _rebuild(made.archive)
    assert (tally.added, tally.present, tally.unreadable) == (6, 0, ())
    assert _known(made.rows()) == _known(before)
    version = made.catalog.version
    tally = _rebuild(made.archive)
    assert (tally.added, tally.present) == (0, 6)
    assert made.catalog.version == version


def test_beside_a_running_archive_the_rows_of_the_run_win(tmp_path: Path) -> None:
    """It has written its LR objects and is about to commit when their rows are made from them."""
    made = small_archive(str(tmp_path), tmp_path, 2)
    of_the_run = made.rows()
    shutil.rmtree(tmp_path / "archive" / "catalog")
    assert _rebuild(made.archive).added == 2
    made.catalog.commit_shard("late", of_the_run)
    found = [replace(row, committed_at=None) for row in made.rows()]
    assert found == [replace(row, committed_at=None) for row in of_the_run]
    assert all(row.seconds is not None for row in found)
    assert _rebuild(made.archive).present == 2
    assert [row.shard_id for row in made.rows()] == [row.shard_id for row in of_the_run]


def test_a_row_that_is_there_stays_whatever_else_lies_in_the_archive(tmp_path: Path) -> None:
    made = small_archive(str(tmp_path), tmp_path, 1)
    (old,) = made.rows()
    first = (tmp_path / "archive" / old.lr_key).read_bytes()
    made.source.put(old.source_key, made.source.get(old.source_key) + b"touched")
    made.run("x2", run_id="run-2")
    (new,) = made.rows()
    assert new.lr_key != old.lr_key
    os.utime(tmp_path / "archive" / new.lr_key, (1, 1))  # the older one looks newer
    assert (tmp_path / "archive" / old.lr_key).read_bytes() == first
    _rebuild(made.archive)
    assert made.rows() == [new]


def test_of_several_lr_objects_of_a_source_the_newest_counts(tmp_path: Path) -> None:
    made = small_archive(str(tmp_path), tmp_path, 1)
    (old,) = made.rows()
    os.utime(tmp_path / "archive" / old.lr_key, (1, 1))
    made.source.put(old.source_key, made.source.get(old.source_key) + b"touched")
    made.run("x2", run_id="run-2")
    (new,) = made.rows()
    shutil.rmtree(tmp_path / "archive" / "catalog")
    _rebuild(made.archive)
    assert _known(made.rows()) == _known([new])


def test_after_a_rebuild_the_last_version_of_a_source_is_still_the_last(tmp_path: Path) -> None:
    made = small_archive(str(tmp_path), tmp_path, 1)
    (old,) = made.rows()
    made.source.put(old.source_key, made.source.get(old.source_key) + b"touched")
    made.run("x4", run_id="run-2")
    (key, chosen) = _best(made)
    assert (key, chosen) == (old.source_key, "x4")
    shutil.rmtree(tmp_path / "archive" / "catalog")
    assert _rebuild(made.archive).added == 2
    assert _best(made) == (key, chosen)


def _best(made: SmallArchive) -> tuple[str, str]:
    """The source and the target that it is restored from."""
    ((one,), missing) = choose(made.archive_url, (), None, None)
    assert missing == []
    return one.source_key, one.target


def test_damaged_and_foreign_objects_are_named_and_make_no_row(tmp_path: Path) -> None:
    made = small_archive(str(tmp_path), tmp_path, 2)
    damaged, moved = (row.lr_key for row in made.rows())
    data = bytearray(made.archive.get(damaged))
    data[-5] ^= 1
    made.archive.put(damaged, bytes(data))
    made.archive.put(moved.replace("photo", "other"), made.archive.get(moved))
    made.archive.put("renditions/x2/notes.txt/0.png", b"no image")
    shutil.rmtree(tmp_path / "archive" / "catalog")
    tally = _rebuild(made.archive)
    assert tally.added == 1
    assert {finding.lr_key for finding in tally.unreadable} == {
        damaged,
        moved.replace("photo", "other"),
        "renditions/x2/notes.txt/0.png",
    }


def test_a_wave_that_is_tried_again_neither_loses_nor_doubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = small_archive(str(tmp_path), tmp_path, 3)
    made.archive.put("renditions/x2/notes.txt/0.png", b"no image")
    before = made.rows()
    shutil.rmtree(tmp_path / "archive" / "catalog")
    monkeypatch.setattr(rebuilding, "COMMIT_ROWS", 2)
    real, asked = Catalog.commit_shard, []

    def failing(catalog: Catalog, shard_id: str, rows: list[CatalogRow], **options: bool) -> bool:
        asked.append(shard_id)
        if len(asked) == 2:
            raise StorageError("503 slow down", retryable=True)
        return real(catalog, shard_id, rows, **options)

    monkeypatch.setattr(Catalog, "commit_shard", failing)
    catalog = open_catalog(made.archive)
    wave = Wave(1, rebuilding.find_lr_files.fn(made.archive).files)
    with pytest.raises(StorageError):
        rebuilding.rebuild_wave.fn(wave, made.archive, catalog, "again")
    tally = rebuilding.rebuild_wave.fn(wave, made.archive, catalog, "again")
    assert (tally.added, tally.present, len(tally.unreadable)) == (3, 0, 1)
    assert tally.stored_bytes == sum(row.lr_bytes or 0 for row in before)
    assert _known(made.rows()) == _known(before)


def test_a_folder_without_lr_objects_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no archive there"):
        rebuilding.find_lr_files.fn(open_store(str(tmp_path)))


def test_a_catalog_on_s3_is_rebuilt(tmp_path: Path, moto_url: str) -> None:
    made = small_archive(moto_url, tmp_path, 2)
    before = made.rows()
    for info in list(made.archive.list("catalog/")):
        made.archive.delete(info.key)
    assert _rebuild(made.archive).added == 2
    assert _known(made.rows()) == _known(before)


@pytest.mark.slow
def test_the_command_rebuilds_and_says_what_is_damaged(
    tmp_path: Path, all_here: RefoldHere
) -> None:
    made = small_archive(str(tmp_path), tmp_path, 2)
    made.archive.put(made.rows()[0].lr_key, b"gone bad")
    shutil.rmtree(tmp_path / "archive" / "catalog")
    ran = all_here("rebuild", made.archive_url, "--json")
    assert ran.code == 1, ran.err
    assert (ran.json["listed"], ran.json["added"]) == (2, 1)
    assert len(ran.json["unreadable"]) == 1
    assert [run.job for run in made.catalog.runs()] == ["rebuild"]
