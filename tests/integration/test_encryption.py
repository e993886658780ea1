"""Objects are stored encrypted as the settings ask for, and everything still reads them.

SSE-S3 is tried on moto: Ceph's gateway needs HashiCorp's Vault for it. moto notes what is asked for
and encrypts nothing; the gateway encrypts, and refuses to read without the key.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from rescaling_core.errors import UsageError
from tasks.catalog import Archived
from tasks.jobs.maintain.steps import keep_tables_up
from tasks.storage import open_store
from tasks.storage.s3 import parts
from tasks.storage.s3.encryption import Encryption, parse_encryption
from tests.servers.endpoint import S3Endpoint
from tests.servers.radosgw import KMS_KEY
from tests.small_archive import SmallArchive, small_archive

KEY = bytes(range(32))
PREVIEW = "long-edge=24"


def _made(
    endpoint: S3Endpoint, asked: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallArchive:
    for name, value in endpoint.environment.items():
        monkeypatch.setenv(name, value)
    bucket = endpoint.new_bucket()
    monkeypatch.setenv("REFOLD_STORE_ENCRYPTION", json.dumps({bucket: asked}))
    return small_archive(f"s3://{bucket}", folder, count=2, targets=(PREVIEW,))


def _everything_reads(made: SmallArchive) -> None:
    """A run that finds nothing new, compaction, and what is stored."""
    made.run(PREVIEW, run_id="run-2")
    keep_tables_up.fn(made.catalog, timedelta(days=7))
    rows = made.rows()
    assert [row.run_id for row in rows] == ["run-1", "run-1"]
    for row in rows:
        assert isinstance(row, Archived)
        assert hashlib.sha256(made.archive.get(row.lr_key)).hexdigest() == row.lr_sha256


def _heads(made: SmallArchive, endpoint: S3Endpoint, **key: object) -> list[dict[str, object]]:
    """What the server says of each object, renditions and tables alike."""
    client = endpoint.client()
    bucket = made.archive_url.removeprefix("s3://").partition("/")[0]
    listed = client.list_objects_v2(Bucket=bucket)["Contents"]
    assert {"photos", "archive"} <= {one["Key"].partition("/")[0] for one in listed}
    return [client.head_object(Bucket=bucket, Key=one["Key"], **key) for one in listed]


@pytest.mark.usefixtures("store_client")
@pytest.mark.slow
@pytest.mark.parametrize("asked", ["AES256", "aws:kms:some-key"])
def test_encryption_that_the_server_manages_is_asked_for_with_every_object(
    asked: str, moto: S3Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _made(moto, asked, tmp_path, monkeypatch)
    _everything_reads(made)
    heads = _heads(made, moto)
    algorithm = "AES256" if asked == "AES256" else "aws:kms"
    assert {head["ServerSideEncryption"] for head in heads} == {algorithm}
    if asked.endswith("some-key"):
        assert {head["SSEKMSKeyId"] for head in heads} == {"some-key"}


@pytest.mark.usefixtures("store_client")
@pytest.mark.radosgw
def test_the_gateway_encrypts_by_a_key_of_its_key_management(
    radosgw: S3Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _made(radosgw, f"aws:kms:{KMS_KEY}", tmp_path, monkeypatch)
    _everything_reads(made)
    heads = _heads(made, radosgw)
    assert {head["ServerSideEncryption"] for head in heads} == {"aws:kms"}
    assert {head["SSEKMSKeyId"] for head in heads} == {KMS_KEY}


@pytest.mark.usefixtures("store_client")
@pytest.mark.radosgw
def test_a_key_of_the_clients_own_goes_along_with_every_request(
    radosgw: S3Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_bytes(base64.b64encode(KEY) + b"\n")
    made = _made(radosgw, f"customer:{tmp_path / 'key'}", tmp_path, monkeypatch)
    monkeypatch.setattr(parts, "WHOLE_BYTES", 3000)
    made.archive.put("renditions/large", b"in parts" * 1000)
    assert made.archive.get("renditions/large") == b"in parts" * 1000
    made.archive.delete("renditions/large")
    _everything_reads(made)
    with pytest.raises(ClientError):
        _heads(made, radosgw)
    heads = _heads(made, radosgw, SSECustomerAlgorithm="AES256", SSECustomerKey=KEY)
    assert {head["SSECustomerAlgorithm"] for head in heads} == {"AES256"}


def test_what_is_no_encryption_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key"
    for text, said in (
        ("AES128", "there is AES256"),
        (f"customer:{key}", "No such file"),
        ("customer:", "cannot be read"),
    ):
        with pytest.raises(UsageError, match=said):
            parse_encryption(text)
    for data in (b"", b"short", base64.b64encode(KEY[:31]), b"\xff" * 33):
        key.write_bytes(data)
        with pytest.raises(UsageError, match="32 bytes"):
            parse_encryption(f"customer:{key}")
    key.write_bytes(KEY)
    assert parse_encryption(f"customer:{key}").key == KEY
    assert KEY.hex() not in repr(parse_encryption(f"customer:{key}"))
    assert parse_encryption("aws:kms:arn:aws:kms:eu-1:1:key/2") == Encryption(
        "aws:kms", key_id="arn:aws:kms:eu-1:1:key/2"
    )


@pytest.mark.slow
def test_the_class_of_the_longest_prefix_is_put_with_an_object(
    moto: S3Endpoint, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    classes = {"renditions/": "STANDARD_IA", "renditions/long-edge=": "STANDARD"}
    monkeypatch.setenv("REFOLD_STORAGE_CLASSES", json.dumps(classes))
    monkeypatch.setattr(parts, "WHOLE_BYTES", 10)
    store = open_store(f"{moto_url}/archive")
    wanted = {
        "renditions/x2/a": "STANDARD_IA",
        "renditions/long-edge=256/a": None,
        "catalog/a": None,
    }
    for key, kind in wanted.items():
        store.put_new(key, b"small")
        store.put(f"{key}.large", b"large" * 10)
        for name in (key, f"{key}.large"):
            bucket = moto_url.removeprefix("s3://")
            head = moto.client().head_object(Bucket=bucket, Key=f"archive/{name}")
            assert head.get("StorageClass") == kind, name
