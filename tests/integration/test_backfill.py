"""Targets that are missing: from the source where it is unchanged, else from its restoration."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rescaling_core.errors import UsageError
from rescaling_core.metadata import read_metadata
from tasks.catalog import Archived
from tasks.control import opening
from tasks.control.run import Run, Wave
from tasks.jobs.backfill import steps as backfilling
from tasks.jobs.backfill.tally import BackfillTally
from tasks.jobs.backfill.worker import Backfiller, BackfillJob, Filled, Gap
from tasks.jobs.rebuild.steps import LrFile, row_of
from tasks.jobs.scrub.worker import Check, Inspector
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import StorageError
from tests.command import RefoldHere
from tests.small_archive import HerePool, SmallArchive, copied, small_archive


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    small_archive(str(root), root, 3)
    return root


@pytest.fixture
def made(template: Path, tmp_path: Path) -> SmallArchive:
    return copied(template, tmp_path)


def _backfill(made: SmallArchive, *targets: str, source: str | None) -> BackfillTally:
    plan = build_plan(PlanOptions(targets=targets))
    catalog = opening.open_archive.fn(made.archive_url, prove=True)
    job = BackfillJob(
        source_url=source, archive_url=made.archive_url, plan=plan, run_id="backfill-1"
    )
    total = backfilling.count_gaps.fn(catalog, plan)
    gaps = backfilling.gaps_of(catalog, plan)
    run = Run("backfill", BackfillTally(), {})
    pool = HerePool(Backfiller(job).fill)
    for wave in run.waves(gaps, cut=total, at_least=2, total=total):
        run.add(backfilling.backfill_wave.fn(wave, pool, catalog, job.run_id))
    checks = [Check(row, restore=True) for row in made.rows() if row.state == "archived"]
    assert Inspector(made.archive_url).inspect(checks) == []
    return run.tally


def test_previews_come_from_unchanged_sources_else_from_restored_images(
    made: SmallArchive,
) -> None:
    same, changed, gone = (row.source_key for row in made.rows())
    made.source.put(changed, made.source.get(changed) + b"touched")
    made.source.delete(gone)
    before = made.rows()
    tally = _backfill(made, "long-edge=16", source=made.source_url)
    assert (tally.from_sources, tally.from_restored, tally.failures) == (1, 2, ())
    previews = {row.source_key: row for row in made.rows() if row.target == "long-edge=16"}
    assert previews[same].origin == "source"
    assert previews[changed].origin == previews[gone].origin == "restored image"
    for row in before:
        preview = previews[row.source_key]
        assert (preview.source_etag, preview.source_sha256) == (row.source_etag, row.source_sha256)
    assert [row for row in made.rows() if row.target == "x2"] == before
    version = made.catalog.version
    again = _backfill(made, "long-edge=16", source=made.source_url)
    assert (again.done, made.catalog.version) == (0, version)


def test_a_rendition_of_a_restored_image_says_so_and_comes_after_those_of_the_source(
    made: SmallArchive,
) -> None:
    first, *_ = (row.source_key for row in made.rows())
    made.source.delete(first)
    tally = _backfill(made, "x4", source=made.source_url)
    assert (tally.from_restored, tally.failures) == (1, ())
    of_target = {(row.source_key, row.target): row for row in made.rows()}
    copy, original = of_target[first, "x4"], of_target[first, "x2"]
    assert (copy.origin, original.origin) == ("restored image", "source")
    assert copy.source_sha256 == original.source_sha256
    better = replace(copy, psnr_y=(original.psnr_y or 0) + 5)  # against the restored image
    made.catalog.commit_shard("s", [better], instead_of=[copy.lr_key])
    (request,), _ = made.requests([first])
    assert request.place.lr_key == original.lr_key
    (request,), _ = made.requests([first], "x4")
    assert request.place.lr_key == copy.lr_key
    told = read_metadata(made.archive.get(copy.lr_key))  # without the catalog
    assert told.origin == "restored image"
    rebuilt = row_of(made.archive, LrFile(copy.place), shard_id="s", run_id="r")
    assert isinstance(rebuilt, Archived)
    assert rebuilt.origin == "restored image"


def test_a_preview_is_not_made_from_a_damaged_rendition(made: SmallArchive) -> None:
    row = made.rows()[0]
    sound = made.archive.get(row.lr_key)
    made.archive.put(row.lr_key, sound[:-1] + b"\0")
    plan = build_plan(PlanOptions(targets=("long-edge=16",)))
    job = BackfillJob(source_url=None, archive_url=made.archive_url, plan=plan, run_id="b")
    filled = Backfiller(job).fill(list(backfilling.gaps_of(made.catalog, plan)))
    assert [failure.source_key for failure in filled.failures] == [row.source_key]
    assert len(filled.rows) == 2


def test_a_wave_that_is_tried_again_neither_loses_nor_doubles(
    made: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfilling, "BATCH", 1)
    row = made.rows()[0]
    made.archive.put(row.lr_key, b"damaged")
    plan = build_plan(PlanOptions(targets=("long-edge=16",)))
    job = BackfillJob(source_url=None, archive_url=made.archive_url, plan=plan, run_id="b")
    filler, asked = Backfiller(job), []

    def fill(gaps: Sequence[Gap]) -> Filled:
        asked.append(gaps[0].row.source_key)
        if len(asked) == 3:
            raise StorageError("503 slow down", retryable=True)
        return filler.fill(gaps)

    wave = Wave(1, list(backfilling.gaps_of(made.catalog, plan)))
    with pytest.raises(StorageError):
        backfilling.backfill_wave.fn(wave, HerePool(fill), made.catalog, "b")
    tally = backfilling.backfill_wave.fn(wave, HerePool(fill), made.catalog, "b")
    first, second, third = (gap.row.source_key for gap in wave.items)
    assert asked == [first, second, third, first, third], "the second was committed"
    assert (tally.sources, tally.from_restored) == (3, 2)
    assert [failure.source_key for failure in tally.failures] == [first]
    made_now = [row.lr_bytes or 0 for row in made.rows() if row.target == "long-edge=16"]
    assert tally.stored_bytes == sum(made_now)


def test_the_source_is_the_one_of_the_last_archive_run(made: SmallArchive, tmp_path: Path) -> None:
    made.run("x2", run_id="run-2")
    find = opening.find_source.fn
    assert find(made.catalog, None) == made.source_url
    assert find(made.catalog, str(tmp_path)) == str(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        find(made.catalog, str(tmp_path / "nowhere"))
    shutil.rmtree(tmp_path / "photos")
    assert find(made.catalog, None) is None


def test_previews_are_made_on_s3(tmp_path: Path, moto_url: str) -> None:
    made = small_archive(moto_url, tmp_path, 1)
    assert _backfill(made, "long-edge=16", source=made.source_url).from_sources == 1


@pytest.mark.slow
def test_the_command_fills_gaps(made: SmallArchive, all_here: RefoldHere) -> None:
    made.run("x2", run_id="run-2")
    gone = made.rows()[0].source_key
    made.source.delete(gone)
    ran = all_here("backfill", made.archive_url, "--target", "long-edge=16", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["from_sources"], ran.json["from_restored"]) == (2, 1)
    assert ran.json["source"] == made.source_url
