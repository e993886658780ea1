"""What lies in a cold class is named, thawed when asked for, and never taken for damaged or lost.

On moto, which refuses to read from such classes and thaws at once, or when it is told to.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.cli.exits import Exit
from flows.service.access import Keys
from flows.service.app import create_app
from flows.service.settings import ServeSettings
from tasks.catalog import Archived
from tasks.collection.listing import EVERYTHING, Selection
from tasks.jobs.archive.steps import find_pending
from tasks.jobs.restore.requests import NotRestored, RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer
from tasks.jobs.scrub.tally import ScrubTally
from tasks.jobs.scrub.worker import Check, Inspector
from tasks.plans.options import PlanOptions, build_plan
from tasks.renditions.networks import findings_about, named_networks
from tasks.renditions.sources import unchanged_source
from tasks.storage import ObjectColdError, StorageError, open_store
from tests.command import RefoldHere
from tests.servers.endpoint import S3Endpoint
from tests.service.conftest import client_of
from tests.small_archive import SmallArchive, small_archive

pytestmark = pytest.mark.slow

PREVIEW = "long-edge=16"


@pytest.fixture(scope="module")
def template(moto: S3Endpoint, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bucket with an archive of two photos, to be copied."""
    bucket = moto.new_bucket()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in moto.environment.items():
            patch.setenv(name, value)
        small_archive(f"s3://{bucket}", tmp_path_factory.mktemp("scratch"), 2, ("x2", PREVIEW))
    return bucket


@pytest.fixture
def made(moto: S3Endpoint, moto_url: str, template: str) -> SmallArchive:
    client, bucket = moto.client(), moto_url.removeprefix("s3://")
    for item in client.list_objects_v2(Bucket=template)["Contents"]:
        source = {"Bucket": template, "Key": item["Key"]}
        client.copy_object(Bucket=bucket, Key=item["Key"], CopySource=source)
    return SmallArchive(f"{moto_url}/photos", f"{moto_url}/archive")


def _restorable(made: SmallArchive) -> list[Archived]:
    return sorted(made.catalog.archived("target = 'x2'"), key=lambda row: row.source_key)


def _place(url: str, key: str) -> dict[str, str]:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": f"{prefix}/{key}"}


def _freeze(moto: S3Endpoint, url: str, key: str, kind: str = "GLACIER") -> None:
    place = _place(url, key)
    moto.client().copy_object(**place, CopySource=place, StorageClass=kind)


def _thaws(moto: S3Endpoint, **how: Any) -> None:
    body = {"model_name": "s3::keyrestore", "transition": how}
    request = urllib.request.Request(
        f"{moto.url}/moto-api/state-manager/set-transition", json.dumps(body).encode()
    )
    urllib.request.urlopen(request, timeout=60).close()


@contextmanager
def _under_way(moto: S3Endpoint, url: str, key: str) -> Iterator[None]:
    """The thaw that was asked for takes its time inside."""
    try:
        _thaws(moto, progression="manual", times=1)
        moto.client().head_object(**_place(url, key))  # by which it begins
        _thaws(moto, progression="manual", times=10**6)
        yield
    finally:
        _thaws(moto, progression="immediate")


def test_a_cold_rendition_is_named_thawed_when_asked_for_and_restored_by_a_later_run(
    moto: S3Endpoint, made: SmallArchive, tmp_path: Path
) -> None:
    cold, warm = _restorable(made)
    _freeze(moto, made.archive_url, cold.lr_key, "DEEP_ARCHIVE")
    job = RestorationJob(
        archive_url=made.archive_url, destination_url=str(tmp_path), overwrite=False
    )
    requests = {one.source_key: one for one in made.requests()[0]}
    assert isinstance(Restorer(job).restore(requests[warm.source_key]), Restored)

    def refused(job: RestorationJob) -> NotRestored:
        outcome = Restorer(job).restore(requests[cold.source_key])
        assert isinstance(outcome, NotRestored)
        assert cold.lr_key in outcome.reason
        return outcome

    first = refused(job)
    assert (first.thaw, "--thaw asks for it" in first.reason) == ("archived", True)
    refold = RefoldHere({}, workers_here=True)
    ran = refold("restore", made.archive_url, str(tmp_path), "--all", "--thaw", "--json")
    told = json.loads(ran.out)
    assert (ran.code, told["restored"], told["failed"]) == (Exit.COLD, 1, 0), ran.err
    (one,) = told["cold"]
    assert (one["source_key"], one["thaw"]) == (cold.source_key, "restoring")
    assert cold.lr_key in ran.err
    with _under_way(moto, made.archive_url, cold.lr_key):
        again = refused(replace(job, thaw=True))
        assert (again.thaw, "try again later" in again.reason) == ("restoring", True)
        made.archive.thaw(cold.lr_key)  # once more does no harm
    assert isinstance(Restorer(job).restore(requests[cold.source_key]), Restored)


def test_a_cold_source_is_kept_with_what_to_do_and_archived_once_it_is_thawed(
    moto: S3Endpoint, made: SmallArchive
) -> None:
    key = "roll 0/new.png"
    made.source.put(key, made.source.get("roll 0/photo 0.png"))
    _freeze(moto, made.source_url, key)
    made.run(PREVIEW, run_id="run-2")
    (row,) = (row for row in made.rows() if row.source_key == key)
    assert (row.state, "it lies in GLACIER" in str(row.reason)) == ("kept", True)
    plan = build_plan(PlanOptions(targets=(PREVIEW,)))
    assert find_pending.fn(made.source, made.catalog, plan, EVERYTHING).count == 1
    made.source.thaw(key)
    made.run(PREVIEW, run_id="run-3")
    assert {row.state for row in made.rows()} == {"archived"}


def test_what_was_archived_stays_when_its_source_turns_cold(
    moto: S3Endpoint, made: SmallArchive
) -> None:
    """Neither a source that is to be verified, nor one under another mark, costs its rendition."""
    rows = made.rows()
    same, other = sorted({row.source_key for row in rows})
    made.source.put(other, made.source.get(other) + b"another version")
    for key in (same, other):
        _freeze(moto, made.source_url, key)
    for row in rows:  # as for one that is gone, renditions are made from the restored image
        assert unchanged_source(made.source, row) is None
    made.run(PREVIEW, run_id="run-2", selection=Selection(verify_sources=True))
    made.run(PREVIEW, "long-edge=8", run_id="run-3")
    after = {getattr(row, "lr_key", None): row.state for row in made.rows()}
    assert after == {row.lr_key: "archived" for row in rows} | {None: "kept"}


def test_scrub_takes_nothing_cold_for_damaged(moto: S3Endpoint, made: SmallArchive) -> None:
    cold, warm = _restorable(made)
    _freeze(moto, made.archive_url, cold.lr_key)
    made.archive.put(warm.lr_key, b"damaged")
    network, *_ = named_networks(made.catalog)
    _freeze(moto, made.archive_url, f"models/{network.weights_sha256}.safetensors")
    checks = [Check(row, restore=True) for row in made.catalog.archived("target = 'x2'")]
    found = [
        *Inspector(made.archive_url).inspect(checks),
        *findings_about(made.archive, [network]),
    ]
    tally = ScrubTally.found(found)
    assert [item.lr_key for item in tally.findings] == [warm.lr_key]
    assert [cold.lr_key in item.reason for item in tally.cold] == [True, False]
    assert all("it lies in GLACIER; it has to be thawed" in item.reason for item in tally.cold)


def test_the_service_says_of_what_is_cold_that_it_takes_hours(
    moto: S3Endpoint, made: SmallArchive
) -> None:
    cold, _ = _restorable(made)
    _freeze(moto, made.archive_url, cold.lr_key)
    app = create_app({"archive": made.archive_url}, ServeSettings(), Keys((), anonymous=True))
    client = client_of(app)
    rows = client.get("/v1/renditions?target=x2").json()["renditions"]
    (links,) = (one["links"] for one in rows if one["key"] == cold.source_key)
    for link in ("hr", "lr"):
        answer = client.get(links[link])
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3600")
        assert "has to be thawed first" in answer.json()["error"]["message"]
        assert "s3://" not in answer.text
    assert "refold_damaged_renditions_total{" not in client.get("/metrics").text


def test_stores_without_classes_refuse_to_thaw(tmp_path: Path, moto_url: str) -> None:
    with pytest.raises(StorageError, match="no classes"):
        open_store(str(tmp_path)).thaw("a")
    store = open_store(f"{moto_url}/a")
    store.put("warm", b"data")
    with pytest.raises(StorageError, match="warm"):
        store.thaw("warm")
    assert not isinstance(ObjectColdError("a"), FileNotFoundError)
