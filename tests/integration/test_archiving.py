"""Waves of shards on real Ray workers: poisoned images, stores that fail for a while."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from tasks.catalog import Catalog, CatalogRow, open_catalog, upsert
from tasks.catalog.parts import Part
from tasks.cluster.pool import worker_pool
from tasks.cluster.slots import WorkerSlots
from tasks.collection.shards import Shard
from tasks.control.run import Wave
from tasks.jobs.archive import steps as archiving
from tasks.jobs.archive.tally import ArchiveTally
from tasks.jobs.archive.worker import ConversionJob, ShardConverter, ShardResult
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import StorageError, Store, open_store
from tests.command import write_photographs
from tests.rows import row
from tests.small_archive import HerePool


class PoisonedConverter(ShardConverter):
    """As the real one, but one image makes its decoder take the process along."""

    def convert(self, shard: Shard) -> ShardResult:
        if any("poison" in source.key for source in shard.sources):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().convert(shard)


class StumblingConverter(ShardConverter):
    """As the real one, but its store is out of reach until it was asked once."""

    def convert(self, shard: Shard) -> ShardResult:
        mark = Path(self._job.archive_url) / f"asked {shard.shard_id}"
        if not mark.exists():
            mark.touch()
            raise StorageError("store: 503 slow down", retryable=True)
        return super().convert(shard)


@pytest.fixture
def job(tmp_path: Path) -> ConversionJob:
    write_photographs(tmp_path / "photos", 5)
    (tmp_path / "photos" / "poison.png").write_bytes(b"drink me")
    return ConversionJob(
        source_url=str(tmp_path / "photos"),
        archive_url=str(tmp_path / "archive"),
        plan=build_plan(PlanOptions(targets=("x2", "long-edge=32"))),
        run_id="run-1",
    )


@pytest.fixture
def catalog(job: ConversionJob) -> Catalog:
    return open_catalog(open_store(job.archive_url))


def _convert(
    worker: type[ShardConverter], job: ConversionJob, catalog: Catalog
) -> tuple[ArchiveTally, list[StorageError]]:
    """Convert one wave, again and again as a task with retries does; what was raised."""
    pending = archiving.find_pending.fn(open_store(job.source_url), catalog, job.plan)
    shards = archiving.shards_of(pending, job.plan, workers=1)
    slots = WorkerSlots(count=1, cpus=1, gpus=0)
    failures: list[StorageError] = []
    with disable_run_logger(), worker_pool(worker, "convert", (job,), slots) as pool:
        while len(failures) < 20:
            try:
                return archiving.convert_wave.fn(Wave(1, shards), pool, catalog, job), failures
            except StorageError as error:
                failures.append(error)
    raise AssertionError("it never ended")


@pytest.mark.usefixtures("ray_local")
def test_an_image_that_kills_its_worker_is_quarantined_and_its_neighbours_are_not(
    job: ConversionJob, catalog: Catalog
) -> None:
    tally, _ = _convert(PoisonedConverter, job, catalog)
    rows = list(catalog.rows())
    poisoned = [row for row in rows if row.source_key == "poison.png"]
    assert {row.target for row in poisoned} == {"x2", "long-edge=32"}
    assert {row.error_class for row in poisoned} == {"WorkerDied"}
    assert {row.state for row in rows if row not in poisoned} == {"archived"}
    assert (tally.archived, tally.kept, tally.quarantined) == (5, 0, 1)
    assert tally.renditions == {"archived": 10, "quarantined": 2}


@pytest.mark.usefixtures("ray_local")
def test_a_store_that_fails_for_a_while_is_an_error_the_task_retries(
    job: ConversionJob, catalog: Catalog
) -> None:
    tally, failures = _convert(StumblingConverter, job, catalog)
    assert tally.done == 6
    assert failures
    assert all(error.retryable for error in failures)
    rows = list(catalog.rows())
    assert len(rows) == 12
    assert tally == ArchiveTally.of(rows), "neither lost nor doubled"


def test_a_wave_that_is_tried_again_converts_what_is_left_and_counts_the_whole(
    job: ConversionJob, catalog: Catalog
) -> None:
    source = open_store(job.source_url)
    pending = archiving.find_pending.fn(source, catalog, job.plan)
    shards = archiving.shards_of(pending, job.plan, workers=1)
    converter, asked = ShardConverter(job), []

    def convert(shard: Shard) -> ShardResult:
        asked.append(shard.shard_id)
        if len(asked) == 2:
            raise StorageError("store: 503 slow down", retryable=True)
        return converter.convert(shard)

    wave = Wave(1, shards)
    with disable_run_logger():
        with pytest.raises(StorageError):
            archiving.convert_wave.fn(wave, HerePool(convert), catalog, job)
        tally = archiving.convert_wave.fn(wave, HerePool(convert), catalog, job)
    ids = [shard.shard_id for shard in shards]
    assert asked == [*ids[:2], *ids[1:]], "what was committed is not converted again"
    assert tally == ArchiveTally.of(catalog.rows())
    assert (tally.archived, tally.quarantined) == (5, 1)


def test_runs_that_planned_before_another_one_committed_leave_every_row_once(
    job: ConversionJob, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As drivers do that race: what one planned is no less true for what the others do."""
    catalog.commit_shard("before", [row(" first.png"), row("zz last.png")])
    (before,) = catalog.files
    looked: list[str] = []
    real = upsert.matches

    def noting(store: Store, prefix: str, part: Part, *rest: object, **more: object):
        looked.append(part.path)
        return real(store, prefix, part, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(upsert, "matches", noting)
    source, convert = open_store(job.source_url), ShardConverter(job).convert
    found = [archiving.find_pending.fn(source, catalog, job.plan) for _ in range(3)]
    rows: list[list[CatalogRow]] = []
    with disable_run_logger():
        for pending in found:
            assert pending.files == {before}
            wave = Wave(1, archiving.shards_of(pending, job.plan, workers=1))
            once = replace(job, run_id=f"run-{len(rows)}")  # a second try would skip what is done
            archiving.convert_wave.fn(wave, HerePool(convert), catalog, once, pending.files)
            rows.append(list(catalog.rows()))
    assert before in catalog.files
    assert before not in looked, "though its range meets every key"
    assert looked, "the files of the others are looked into"
    assert len(rows[0]) == 2 + 6 * 2
    assert rows[1] == rows[2] == rows[0]
