"""Several photos of a worker under way at once: same renditions, bounded, no waiting in line."""

from __future__ import annotations

import io
import os
import signal
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import pytest

import tasks.jobs.archive.worker
from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec, FileExtras
from rescaling_core.errors import CodecError
from tasks.catalog import CatalogRow, open_catalog
from tasks.cluster.encoders import EncoderDiedError, encoders_of
from tasks.cluster.pool import worker_pool
from tasks.cluster.slots import WorkerSlots
from tasks.collection.shards import Shard
from tasks.jobs.archive.reading import READS_AHEAD
from tasks.jobs.archive.steps import find_pending, shards_of
from tasks.jobs.archive.worker import ConversionJob, ShardConverter
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import StorageError, open_store
from tasks.storage.local import LocalStore
from tasks.storage.s3.store import S3Store
from tests.command import photograph, write_photographs
from tests.rows import error_of, reason_of
from tests.servers.endpoint import S3Endpoint
from tests.servers.proxy import Fault, proxy

IMAGES = 12
PATIENCE = 60


def _job(
    folder: Path, *, targets: tuple[str, ...] = ("x2",), photos_at_once: int = 1
) -> ConversionJob:
    photos = folder / "photos"
    if not photos.exists():
        write_photographs(photos, IMAGES)
        (photos / "broken.png").write_bytes(b"no image")
    return ConversionJob(
        source_url=str(photos),
        archive_url=str(folder / "archive"),
        plan=build_plan(PlanOptions(targets=targets, rescalers=("irn-x2-lite",), codec="avif")),
        run_id="run-1",
        photos_at_once=photos_at_once,
    )


def _whole(job: ConversionJob) -> Shard:
    """All sources in one shard."""
    catalog = open_catalog(open_store(job.archive_url))
    pending = find_pending.fn(open_store(job.source_url), catalog, job.plan)
    shards = shards_of(pending, job.plan, workers=1)
    sources = [source for shard in shards for source in shard.sources]
    return Shard.of(sources, targets=job.plan.target_names, plan_digest=job.plan.digest)


def _made(rows: tuple[CatalogRow, ...]) -> list[tuple[str | None, ...]]:
    return [
        (row.source_key, row.state, getattr(row, "lr_sha256", None), reason_of(row)) for row in rows
    ]


@pytest.mark.usefixtures("one_thread", "ray_local")
def test_photos_at_once_and_encoders_elsewhere_change_nothing(tmp_path: Path) -> None:
    job = _job(tmp_path, targets=("x2", "long-edge=32"))
    shard = _whole(job)
    alone = ShardConverter(job).convert(shard)
    states = Counter(row.state for row in alone.rows)
    assert states == {"archived": 2 * IMAGES, "quarantined": 2}
    together = ShardConverter(replace(job, photos_at_once=4)).convert(shard)
    assert _made(together.rows) == _made(alone.rows)
    with encoders_of(1) as encoders:
        elsewhere = ShardConverter(replace(job, photos_at_once=3, encoders=encoders)).convert(shard)
    assert _made(elsewhere.rows) == _made(alone.rows)


@pytest.mark.usefixtures("ray_local")
def test_encoders_keep_their_cpus_when_workers_would_take_all(tmp_path: Path) -> None:
    """Of two CPUs one is the encoders': a second worker never finds room, and the run ends."""
    job = _job(tmp_path, photos_at_once=2)
    slots = WorkerSlots(count=1, cpus=1, gpus=0, more=1)
    with encoders_of(1) as encoders:
        job = replace(job, encoders=encoders)
        with worker_pool(ShardConverter, "convert", (job,), slots) as pool:
            (result,) = pool.run([_whole(job)])
    assert Counter(row.state for row in result.rows)["archived"] == IMAGES


@pytest.mark.usefixtures("one_thread")
def test_writes_to_a_slow_store_go_side_by_side_and_hold_the_reads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three at once: the barrier opens for three writes only, and reads stay just ahead of them."""
    job = _job(tmp_path, photos_at_once=3)
    (tmp_path / "photos" / "broken.png").unlink()
    shard = _whole(job)
    converter = ShardConverter(job)
    together, lock = Barrier(3), Lock()
    counts: Counter[str] = Counter()
    ahead: list[int] = []
    read, write = LocalStore.get_version, LocalStore.put_new

    def get_version(store: LocalStore, key: str, etag: str) -> bytes:
        with lock:
            counts["read"] += 1
            ahead.append(counts["read"] - counts["written"])
        return read(store, key, etag)

    def put_new(store: LocalStore, key: str, data: bytes) -> bool:
        together.wait(PATIENCE)
        with lock:
            counts["written"] += 1
        return write(store, key, data)

    monkeypatch.setattr(LocalStore, "get_version", get_version)
    monkeypatch.setattr(LocalStore, "put_new", put_new)
    rows = converter.convert(shard).rows
    assert [row.state for row in rows] == ["archived"] * IMAGES
    assert max(ahead) <= 3 + READS_AHEAD


@pytest.mark.usefixtures("one_thread")
def test_a_slow_bucket_holds_the_reads_back(
    tmp_path: Path, moto: S3Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write is answered a second late; what was read and is not yet written is counted."""
    images = 14
    counts: Counter[str] = Counter()
    ahead: list[int] = []
    lock = Lock()
    write = S3Store.put_new

    def put_new(store: S3Store, key: str, data: bytes) -> bool:
        new = write(store, key, data)
        with lock:
            counts["written"] += key.startswith("renditions/")
        return new

    def slow_writes(method: str, path: str) -> Fault | None:
        with lock:
            if method == "GET" and path.endswith(".png"):
                counts["read"] += 1
                ahead.append(counts["read"] - counts["written"])
        return "slow" if method == "PUT" and "archive/renditions/" in path else None

    monkeypatch.setattr(S3Store, "put_new", put_new)
    with proxy(moto, faults=slow_writes) as slow:
        for name, value in slow.environment.items():
            monkeypatch.setenv(name, value)
        bucket = f"s3://{slow.new_bucket()}"
        job = replace(
            _job(tmp_path, photos_at_once=2),
            source_url=f"{bucket}/photos",
            archive_url=f"{bucket}/archive",
        )
        source = open_store(job.source_url)
        for i in range(images):
            photograph("coffee", 60, 80, 10 * i).save(tmp_path / "one.png")
            source.put(f"{i}.png", (tmp_path / "one.png").read_bytes())
        rows = ShardConverter(job).convert(_whole(job)).rows
    assert [row.state for row in rows] == ["archived"] * images
    assert counts == {"read": images, "written": images}
    assert max(ahead) <= 2 + READS_AHEAD


@pytest.mark.usefixtures("ray_local")
def test_what_an_encoder_refuses_arrives_as_it_was() -> None:
    spec = CodecSpec("webp", 80)
    pixels = codecs.decode(_png())
    wide = pixels.repeat(300, axis=1)  # beyond WebP's 16383 pixels
    with encoders_of(1) as encoders:
        assert encoders is not None
        assert encoders(pixels, spec) == codecs.encode(pixels, spec)
        with pytest.raises(CodecError, match="16383"):
            encoders(wide, spec)


@dataclass(frozen=True)
class Fatal(FileExtras):
    """Takes the process along that unpacks it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _die, ()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.usefixtures("ray_local")
def test_an_encoder_that_crashes_is_no_codec_that_refuses() -> None:
    """Another codec must not win by it, nor the worker die of it."""
    pixels, spec = codecs.decode(_png()), CodecSpec("webp", 80)
    with encoders_of(1) as encoders:
        assert encoders is not None
        with pytest.raises(EncoderDiedError, match="webp") as caught:
            encoders(pixels, spec, extras=Fatal())
        assert not isinstance(caught.value, CodecError)
        assert encoders(pixels, spec) == codecs.encode(pixels, spec)


@pytest.mark.usefixtures("one_thread")
def test_a_source_whose_encoder_crashed_is_quarantined_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _job(tmp_path, photos_at_once=2)
    honest = codecs.encode
    calls = iter(range(100))

    def encode(*arguments: Any, **options: Any) -> bytes:
        if next(calls) == 3:
            raise EncoderDiedError("codec avif-50: WorkerCrashedError while encoding")
        return honest(*arguments, **options)

    monkeypatch.setattr(codecs, "encode", encode)
    rows = ShardConverter(job).convert(_whole(job)).rows
    classes = Counter(map(error_of, rows))
    assert classes == {None: IMAGES - 1, "EncoderDiedError": 1, "UnreadableImageError": 1}


def _png() -> bytes:
    buffer = io.BytesIO()
    photograph("coffee", 60, 80).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.usefixtures("one_thread")
def test_a_store_that_fails_ends_the_shard_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _job(tmp_path, photos_at_once=2)
    shard = _whole(job)
    converter = ShardConverter(job)
    begun = []
    honest = tasks.jobs.archive.worker.convert

    def convert(photo: Any, source: Any, *arguments: Any, **options: Any) -> Any:
        begun.append(source.key)
        return honest(photo, source, *arguments, **options)

    def put_new(*_: object) -> bool:
        raise StorageError("disk full")

    monkeypatch.setattr(tasks.jobs.archive.worker, "convert", convert)
    monkeypatch.setattr(LocalStore, "put_new", put_new)
    with pytest.raises(StorageError, match="disk full"):
        converter.convert(shard)
    assert len(begun) < IMAGES
