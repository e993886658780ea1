"""S3 Inventory reports, written here as S3 writes them, lead to the sources a listing leads to."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rescaling_core.errors import UsageError
from tasks.collection import listing as inventory
from tasks.collection.listing import Selection
from tasks.collection.s3_inventory import read_report
from tasks.jobs.archive.steps import find_pending
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import ObjectInfo, StorageError, Store, open_store
from tasks.storage.s3 import reading
from tasks.storage.s3.store import S3Store
from tests.small_archive import small_archive

KEYS = ("a/1 plus+.png", "a/2 ü%20.png", 'b "quoted", all.jpg', "z/100%.jpg")
SCHEMA_CSV = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"
SCHEMA_PARQUET = (
    "message s3.inventory { required binary bucket (STRING); required binary key (STRING); "
    "optional binary version_id (STRING); optional boolean is_latest; optional boolean "
    "is_delete_marker; optional int64 size; optional int64 last_modified_date "
    "(TIMESTAMP(MILLIS,true)); optional binary e_tag (STRING); }"
)


@pytest.fixture
def photos(moto_url: str) -> Store:
    store = open_store(f"{moto_url}/photos")
    for number, key in enumerate(KEYS):
        store.put(key, key.encode() * (number + 1))
    open_store(moto_url).put("elsewhere/no.png", b"not below the prefix")
    open_store(moto_url).put("photos/folder/", b"")
    return store


def _rows(store: Store) -> list[dict[str, Any]]:
    """What S3 would write of the whole bucket: other prefixes, markers and old versions too."""
    assert isinstance(store, S3Store)
    bucket = open_store(f"s3://{store.bucket}")
    found = [*bucket.list(), ObjectInfo("photos/folder/", 0, "d41d8cd98f00b204e9800998ecf8427e")]

    def row(info: ObjectInfo, **other: Any) -> dict[str, Any]:
        return {
            "bucket": store.bucket,
            "key": info.key,
            "version_id": "v1",
            "is_latest": True,
            "is_delete_marker": False,
            "size": info.size,
            "last_modified_date": info.modified,
            "e_tag": info.etag,
        } | other

    old = row(next(store.list()), is_latest=False, e_tag="0" * 32)
    old["key"] = store.prefix + old["key"]
    gone = row(
        ObjectInfo("photos/deleted.png", 0, ""), is_delete_marker=True, size=None, e_tag=None
    )
    return [*map(row, found), old, gone]


def _write(store: Store, kind: str, files: list[bytes], schema: str, **other: Any) -> str:
    assert isinstance(store, S3Store)
    bucket = open_store(f"s3://{store.bucket}")
    entries = []
    for number, data in enumerate(files):
        key = f"reports/{store.bucket}/daily/data/{number}.{kind}"
        bucket.put(key, data)
        digest = hashlib.md5(data).hexdigest()
        entries.append({"key": key, "size": len(data), "MD5checksum": digest})
    manifest = {
        "sourceBucket": store.bucket,
        "destinationBucket": f"arn:aws:s3:::{store.bucket}",
        "version": "2016-11-30",
        "creationTimestamp": "1514944800000",
        "fileFormat": kind,
        "fileSchema": schema,
        "files": entries,
    } | other
    key = f"reports/{store.bucket}/daily/2026-01-01T00-00Z/manifest.json"
    bucket.put(key, json.dumps(manifest).encode())
    return f"s3://{store.bucket}/{key}"


def _csv(rows: list[dict[str, Any]]) -> bytes:
    def text(value: Any) -> str:
        if value is None:
            return '""'
        return f'"{str(value).lower() if isinstance(value, bool) else value}"'

    lines = [
        ",".join(text(quote_plus(v) if name == "key" else v) for name, v in row.items())
        for row in rows
    ]
    return gzip.compress(("\n".join(lines) + "\n").encode())


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


def _report(store: Store, kind: str) -> str:
    rows = _rows(store)
    halves = [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
    if kind == "CSV":
        return _write(store, kind, [_csv(half) for half in halves], SCHEMA_CSV)
    return _write(store, kind, [_parquet(half) for half in halves], SCHEMA_PARQUET)


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_a_report_has_what_a_listing_has(
    photos: Store, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", 50)  # so that even small files come in pieces
    report = _report(photos, kind)
    listed = pa.Table.from_batches(inventory.scan(photos), schema=inventory.SCHEMA)
    assert listed.column("key").to_pylist() == sorted(KEYS)
    read = pa.Table.from_batches(read_report(photos, report), schema=inventory.SCHEMA)
    assert read.sort_by("key").to_pylist() == listed.to_pylist()
    some = read_report(photos, report, include=["a/*"], exclude=["*1*"])
    assert [key for batch in some for key in batch.column("key").to_pylist()] == [KEYS[1]]


def test_a_run_by_a_report_finds_what_the_catalog_lacks(tmp_path: Path, moto_url: str) -> None:
    made = small_archive(moto_url, tmp_path, 2)
    made.source.put("new.png", b"a new one")
    plan = build_plan(PlanOptions(targets=("x2",)))
    selection = Selection(inventory=_report(made.source, "Parquet"))
    pending = find_pending.fn(made.source, made.catalog, plan, selection)
    assert (pending.listed, pending.count) == (3, 1)
    assert [key for b in pending.batches for key in b.column("key").to_pylist()] == ["new.png"]


def test_what_is_no_report_on_the_collection_is_refused(photos: Store, tmp_path: Path) -> None:
    def refused(url: str, store: Store = photos) -> str:
        with pytest.raises(UsageError) as caught:
            list(read_report(store, url))
        return str(caught.value)

    assert "of a source on s3://" in refused("s3://b/manifest.json", open_store(str(tmp_path)))
    assert "not on" in refused(_write(photos, "CSV", [], SCHEMA_CSV, sourceBucket="other"))
    assert "as ORC" in refused(_write(photos, "ORC", [], SCHEMA_CSV))
    assert "lacks e_tag" in refused(_write(photos, "CSV", [], "Bucket, Key, Size"))
    photos.put("manifest.json", b'{"sourceBucket": "b"}')
    assert "not the manifest" in refused(f"{photos.url}/manifest.json")
    bare = _parquet([{"bucket": "b", "key": "k"}])
    assert "lacks size, e_tag" in refused(_write(photos, "Parquet", [bare], SCHEMA_PARQUET))


def test_a_damaged_or_missing_file_of_a_report_ends_the_run(photos: Store) -> None:
    report = _report(photos, "CSV")
    assert isinstance(photos, S3Store)
    bucket = open_store(f"s3://{photos.bucket}")
    data = f"reports/{photos.bucket}/daily/data/1.CSV"
    bucket.put(data, bucket.get(data)[:-1] + b"\x7f")
    with pytest.raises(StorageError, match="not the file that its manifest names"):
        list(read_report(photos, report))
    bucket.delete(data)
    with pytest.raises(StorageError, match="no such object"):
        list(read_report(photos, report))
