"""Buckets that keep versions, with Object Lock or without: what is asked for, and what is said."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.catalog import Catalog
from tasks.jobs.maintain import steps as maintenance
from tasks.jobs.maintain.retention import extend_retention
from tasks.jobs.maintain.tally import MaintainTally
from tasks.jobs.restore.requests import RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer
from tasks.jobs.retire import actions
from tasks.jobs.scrub.worker import Check, Inspector
from tasks.storage import StorageError, Store, open_store
from tasks.storage.s3 import parts
from tests.retirement import retire_once
from tests.servers.endpoint import S3Endpoint
from tests.small_archive import small_archive

LOCKED, HIDDEN = "is kept by", "the bucket keeps versions"


def _locked_bucket(endpoint: S3Endpoint, days: int = 0) -> str:
    """A fresh bucket in which what is written is kept for some days, whoever asks."""
    name, client = f"locked-{uuid.uuid4().hex[:12]}", endpoint.client()
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    if days:
        kept = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": days}}
        configuration = {"ObjectLockEnabled": "Enabled", "Rule": kept}
        client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=configuration)
    return name


def test_tables_are_written_with_the_checksum_that_such_a_bucket_asks_for(
    moto: S3Endpoint, moto_url: str
) -> None:
    for url, asked in ((f"s3://{_locked_bucket(moto)}", True), (moto_url, False)):
        options = open_store(f"{url}/archive").delta_options()
        assert ("aws_checksum_algorithm" in options) is asked


def test_what_is_locked_stays_and_the_rest_is_hidden_which_is_said_once(
    moto: S3Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture, moto_url: str
) -> None:
    bucket, client = _locked_bucket(moto), moto.client()
    made = small_archive(f"s3://{bucket}", tmp_path, 2)
    source, archive, catalog = made.source, made.archive, made.catalog
    held, free = (info.key for info in source.list())
    client.put_object_legal_hold(Bucket=bucket, Key=f"photos/{held}", LegalHold={"Status": "ON"})
    for name in ("a", "b", "c"):
        assert archive.put_new(f"renditions/x2/{name}.png", b"left by a killed run")
    assert not archive.put_new("renditions/x2/a.png", b"of a second writer")
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


@pytest.mark.radosgw
def test_every_job_works_in_a_bucket_whose_retention_the_server_enforces(
    radosgw: S3Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the proof of conditional writes: where versions are kept, Ceph lets racers win."""
    for name, value in radosgw.environment.items():
        monkeypatch.setenv(name, value)
    _ask(monkeypatch, {"renditions/": "GOVERNANCE 10d", "renditions/x2/": "COMPLIANCE 10d"})
    bucket = _locked_bucket(radosgw, days=1)
    made = small_archive(f"s3://{bucket}", tmp_path, 2)
    archive, catalog = made.archive, made.catalog
    made.run("x2", "long-edge=24", run_id="run-2")
    rows = made.rows()
    assert [row.run_id for row in rows] == ["run-2", "run-1"] * 2

    requests, missing = made.requests()
    restorer = Restorer(
        RestorationJob(
            archive_url=made.archive_url, destination_url=f"{tmp_path}/out", overwrite=False
        )
    )
    assert not missing
    assert all(isinstance(restorer.restore(one), Restored) for one in requests)
    checks = [Check(row, restore=True) for row in rows]
    assert Inspector(made.archive_url).inspect(checks) == []

    with monkeypatch.context() as small:
        small.setattr(parts, "WHOLE_BYTES", 8)  # so that it goes in parts
        archive.put("renditions/x2/left.png", b"left by a killed run")
    assert _maintain(archive, catalog, dry_run=False).locked == 1
    _ask(monkeypatch, {"renditions/": "GOVERNANCE 15d", "renditions/x2/": "COMPLIANCE 90d"})
    for dry_run in (True, False):
        tally = extend_retention.fn(archive, catalog, dry_run=dry_run)
        assert (tally.retained, tally.unretained) == (2, 0), "previews have more than half of it"
    assert extend_retention.fn(archive, catalog).retained == 0
    kept_up = maintenance.keep_tables_up.fn(catalog, timedelta(0))
    assert kept_up.files_after < kept_up.files_before
    assert kept_up.files_removed > 0
    maintenance.note_digests.fn(archive, "run-3")

    assert retire_once(made, grace=timedelta(0)).marked == 2
    assert retire_once(made, grace=timedelta(0)).stay == {actions.LOCKED: 2}
    assert made.rows() == rows

    days = _days_kept(radosgw, bucket)
    expected = {row.lr_key: ("COMPLIANCE", 90) for row in rows if row.target == "x2"}
    expected |= {row.lr_key: ("GOVERNANCE", 10) for row in rows if row.target != "x2"}
    expected["renditions/x2/left.png"] = ("COMPLIANCE", 10)
    for key, kept in days.items():
        assert kept == expected.pop(key.removeprefix("archive/"), ("COMPLIANCE", 1)), key
    assert not expected


def test_a_bucket_without_object_lock_says_that_it_takes_no_retention(
    moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(moto_url)
    store.put("renditions/old", b"put before")
    _ask(monkeypatch, {"renditions/": "GOVERNANCE 90d"})
    store.put("catalog/a", b"no retention is asked for")
    attempts: tuple[Callable[[], object], ...] = (
        lambda: store.put("renditions/a", b"small"),
        lambda: store.put_new("renditions/a", b"small"),
    )
    for attempt in attempts:
        with pytest.raises(StorageError, match="only a bucket with Object Lock"):
            attempt()
    with pytest.raises(StorageError, match="renew the retention of renditions/old"):
        store.retain("renditions/old")
    assert not store.retain("catalog/a")


def _ask(monkeypatch: pytest.MonkeyPatch, retention: dict[str, str]) -> None:
    monkeypatch.setenv("REFOLD_RETENTION", json.dumps(retention))


def _days_kept(endpoint: S3Endpoint, bucket: str) -> dict[str, tuple[str, int]]:
    """Mode and whole days, from when it was written on, of the newest version of each key."""
    client, found = endpoint.client(), {}
    for version in client.list_object_versions(Bucket=bucket)["Versions"]:
        key = version["Key"]
        head = client.head_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
        kept = head["ObjectLockRetainUntilDate"] - head["LastModified"] + timedelta(minutes=30)
        if version["IsLatest"] or key not in found:
            found[key] = (head["ObjectLockMode"], kept.days)
    return found


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
