"""Buckets that keep versions, with Object Lock or without: what is asked for, and what is said."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.catalog import Catalog
from tasks.jobs.maintain import steps as maintenance
from tasks.jobs.maintain.tally import MaintainTally
from tasks.jobs.retire import actions
from tasks.storage import Store, open_store
from tests.retirement import retire_once
from tests.servers.endpoint import S3Endpoint
from tests.small_archive import small_archive

LOCKED, HIDDEN = "is kept by", "the bucket keeps versions"


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


def test_what_is_locked_stays_and_the_rest_is_hidden_which_is_said_once(
    moto: S3Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture, moto_url: str
) -> None:
    bucket, client = f"locked-{uuid.uuid4().hex[:12]}", moto.client()
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    made = small_archive(f"s3://{bucket}", tmp_path, 2)
    source, archive, catalog = made.source, made.archive, made.catalog
    held, free = (info.key for info in source.list())
    client.put_object_legal_hold(Bucket=bucket, Key=f"photos/{held}", LegalHold={"Status": "ON"})
    for name in ("a", "b", "c"):
        archive.put(f"renditions/x2/{name}.png", b"left by a killed run")
    for name, until in (("a", timedelta(days=2)), ("c", timedelta(seconds=-1))):
        client.put_object_retention(
            Bucket=bucket,
            Key=f"archive/renditions/x2/{name}.png",
            Retention={"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(UTC) + until},
        )
    for dry_run in (True, False):
        tally = _maintain(archive, catalog, dry_run=dry_run)
        assert (tally.removed_objects, tally.locked) == (2, 1)
    assert _told(caplog) == [LOCKED, LOCKED, HIDDEN]
    assert [info.key for info in archive.list("renditions/x2/a")] == ["renditions/x2/a.png"]
    assert not archive.exists("renditions/x2/b.png")

    caplog.clear()
    now = timedelta(0)
    assert retire_once(made, grace=now).marked == 2
    for dry_run in (True, False):
        tally = retire_once(made, grace=now, dry_run=dry_run)
        assert (tally.deleted, tally.stay) == (1, {actions.LOCKED: 1})
    assert _told(caplog) == [LOCKED, LOCKED, HIDDEN]
    assert [info.key for info in source.list()] == [held]
    for key in (f"photos/{free}", "archive/renditions/x2/b.png"):
        assert client.list_object_versions(Bucket=bucket, Prefix=key)["Versions"], "hidden only"


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


def _maintain(archive: Store, catalog: Catalog, *, dry_run: bool) -> MaintainTally:
    """Remove the garbage of a run for which everything is old enough."""
    before = datetime.now(UTC) + timedelta(hours=1)
    keys = maintenance.find_garbage.fn(archive, catalog, before)
    tally = maintenance.remove_garbage.fn(archive, keys, before, dry_run=dry_run)
    maintenance.tell_of_versions(archive)
    return tally


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Which warnings about locks and versions were logged, in order."""
    said = [(hint, message) for message in caplog.messages for hint in (LOCKED, HIDDEN)]
    return [hint for hint, message in said if hint in message]
