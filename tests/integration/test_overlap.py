"""Several photos of a worker under way at once: same renditions, bounded, no waiting in line."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import pytest

import tasks.conversion
from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import CodecError
from tasks.archiving import find_pending, shards_of
from tasks.catalog import CatalogRow, open_catalog
from tasks.conversion import READS_AHEAD, ConversionJob, ShardConverter
from tasks.encoders import encode_elsewhere
from tasks.planning import PlanOptions, build_plan
from tasks.shards import Shard
from tasks.storage import open_store
from tasks.storage.local import LocalStore
from tests.command import photograph, write_photographs
from tests.servers.endpoint import S3Endpoint
from tests.servers.proxy import Fault, proxy

IMAGES = 12
PATIENCE = 60


def _job(folder: Path, **options: Any) -> ConversionJob:
    photos = folder / "photos"
    if not photos.exists():
        write_photographs(photos, IMAGES)
        (photos / "broken.png").write_bytes(b"no image")
    return ConversionJob(
        source_url=str(photos),
        archive_url=str(folder / "archive"),
        plan=build_plan(PlanOptions(targets=("x2",), rescalers=("irn-x2-lite",), codec="webp")),
        run_id="run-1",
        **options,
    )


def _whole(job: ConversionJob) -> Shard:
    """All sources in one shard."""
    catalog = open_catalog(open_store(job.archive_url))
    pending = find_pending.fn(open_store(job.source_url), catalog, job.plan)
    shards = shards_of(pending, job.plan, workers=1)
    sources = [source for shard in shards for source in shard.sources]
    return Shard.of(sources, targets=job.plan.target_names, plan_digest=job.plan.digest)


def _made(rows: tuple[CatalogRow, ...]) -> list[tuple[str, str, str | None, str | None]]:
    return [(row.source_key, row.state, row.lr_sha256, row.reason) for row in rows]


@pytest.mark.usefixtures("one_thread", "ray_local")
def test_photos_at_once_and_encoders_elsewhere_change_nothing(tmp_path: Path) -> None:
    job = _job(tmp_path)
    shard = _whole(job)
    alone = ShardConverter(job).convert(shard)
    assert Counter(row.state for row in alone.rows) == {"archived": IMAGES, "quarantined": 1}
    for options in ({"photos_at_once": 4}, {"photos_at_once": 3, "encode_elsewhere": True}):
        together = ShardConverter(replace(job, **options)).convert(shard)
        assert _made(together.rows) == _made(alone.rows)


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
    read, write = LocalStore.get, LocalStore.put_new

    def get(store: LocalStore, key: str) -> bytes:
        with lock:
            counts["read"] += 1
            ahead.append(counts["read"] - counts["written"])
        return read(store, key)

    def put_new(store: LocalStore, key: str, data: bytes) -> bool:
        together.wait(PATIENCE)
        with lock:
            counts["written"] += 1
        return write(store, key, data)

    monkeypatch.setattr(LocalStore, "get", get)
    monkeypatch.setattr(LocalStore, "put_new", put_new)
    rows = converter.convert(shard).rows
    assert [row.state for row in rows] == ["archived"] * IMAGES
    assert max(ahead) <= 3 + READS_AHEAD + 1


@pytest.mark.usefixtures("one_thread")
def test_a_slow_bucket_holds_the_reads_back(
    tmp_path: Path, moto: S3Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[str] = Counter()
    ahead: list[int] = []
    lock = Lock()

    def slow_writes(method: str, path: str) -> Fault | None:
        with lock:
            if method == "GET" and path.endswith(".png"):
                counts["read"] += 1
                ahead.append(counts["read"] - counts["written"])
            if method == "PUT" and "archive/renditions/" in path:
                counts["written"] += 1
                return "slow"
        return None

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
        for i in range(8):
            photograph("coffee", 60, 80, 10 * i).save(tmp_path / "one.png")
            source.put(f"{i}.png", (tmp_path / "one.png").read_bytes())
        rows = ShardConverter(job).convert(_whole(job)).rows
    assert [row.state for row in rows] == ["archived"] * 8
    assert counts == {"read": 8, "written": 8}
    assert max(ahead) <= 2 + READS_AHEAD + 1


@pytest.mark.usefixtures("ray_local")
def test_what_an_encoder_refuses_arrives_as_it_was() -> None:
    spec = CodecSpec("webp", 80)
    pixels = codecs.decode(_png())
    assert encode_elsewhere(pixels, spec) == codecs.encode(pixels, spec)
    wide = pixels.repeat(300, axis=1)  # beyond WebP's 16383 pixels
    with pytest.raises(CodecError, match="16383"):
        encode_elsewhere(wide, spec)


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
    honest = tasks.conversion.convert

    def convert(photo: Any, source: Any, *arguments: Any, **options: Any) -> Any:
        begun.append(source.key)
        return honest(photo, source, *arguments, **options)

    def put_new(*_: object) -> bool:
        raise OSError("disk full")

    monkeypatch.setattr(tasks.conversion, "convert", convert)
    monkeypatch.setattr(LocalStore, "put_new", put_new)
    with pytest.raises(OSError, match="disk full"):
        converter.convert(shard)
    assert len(begun) < IMAGES
