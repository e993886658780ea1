"""Buckets that keep versions, with Object Lock or without: what is asked for, and what is said."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.jobs.maintain import steps as maintenance
from tasks.storage import open_store
from tests.retirement import retire_once
from tests.servers.endpoint import S3Endpoint
from tests.small_archive import SmallArchive, small_archive


@pytest.fixture
def locked(moto: S3Endpoint, moto_url: str) -> str:
    """A fresh bucket in which what is written is kept for a day, whoever asks."""
    name, client = f"locked-{uuid.uuid4().hex[:12]}", moto.client()
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    kept = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": kept}
    client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=configuration)
    return name


def test_tables_are_written_with_the_checksum_that_such_a_bucket_asks_for(
    moto_url: str, locked: str
) -> None:
    for url, asked in ((f"s3://{locked}", True), (moto_url, False)):
        options = open_store(f"{url}/archive").delta_options()
        assert ("aws_checksum_algorithm" in options) is asked


def test_jobs_that_delete_say_once_that_bytes_stay_where_versions_are_kept(
    moto: S3Endpoint, moto_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bucket, client = moto_url.removeprefix("s3://"), moto.client()
    made = small_archive(moto_url, tmp_path, 1)
    source = made.rows()[0].source_key
    for versioned in (False, True):
        if versioned:
            kept = {"Status": "Enabled"}
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=kept)
            made.source.put(source, made.source.get(source))  # the one before has no version
            assert _hints_of_maintain(made, caplog) == 0, "nothing was deleted"
        made.archive.put("renditions/x2/left.png", b"left by a killed run")
        assert _hints_of_maintain(made, caplog) == versioned
    assert retire_once(made, grace=timedelta(0)).marked == 1
    assert _hints(caplog) == 0
    assert retire_once(made, grace=timedelta(0)).deleted == 1
    assert _hints(caplog) == 1
    assert list(made.source.list()) == []
    for key in (f"photos/{source}", "archive/renditions/x2/left.png"):
        assert client.list_object_versions(Bucket=bucket, Prefix=key)["Versions"], key


@pytest.mark.parametrize("status", ["Enabled", None])
def test_what_is_moved_to_another_class_leaves_a_version(
    status: str | None, moto: S3Endpoint, moto_url: str
) -> None:
    if status is not None:
        moto.client().put_bucket_versioning(
            Bucket=moto_url.removeprefix("s3://"), VersioningConfiguration={"Status": status}
        )
    store = open_store(moto_url)
    store.put("a", b"bytes")
    store.move_to_class(store.info("a"), "STANDARD_IA")
    assert store.keeps_versions is (status is not None)


def _hints_of_maintain(made: SmallArchive, caplog: pytest.LogCaptureFixture) -> int:
    """How often a run says that versions are kept, for which everything is old enough."""
    caplog.clear()
    store, before = made.archive, datetime.now(UTC) + timedelta(hours=1)
    keys = maintenance.find_garbage.fn(store, made.catalog, before)
    maintenance.remove_garbage.fn(store, keys, before)
    maintenance.tell_of_versions(store)
    return _hints(caplog, clear=True)


def _hints(caplog: pytest.LogCaptureFixture, *, clear: bool = False) -> int:
    told = sum("the bucket keeps versions" in message for message in caplog.messages)
    if clear:
        caplog.clear()
    return told
