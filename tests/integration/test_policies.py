"""Each job works with its policy of infra/policies, and is refused whatever is beyond it.

Ceph's gateway enforces them, as policies of the buckets for a user who may do nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from rescaling_core.plan import Floor
from tasks.catalog.journal import Journal
from tasks.collection.listing import EVERYTHING
from tasks.control import opening
from tasks.control.record import Counts, JobRun, write_run
from tasks.control.run import Run
from tasks.jobs.backfill import steps as backfilling
from tasks.jobs.backfill.tally import BackfillTally
from tasks.jobs.backfill.worker import Backfiller, BackfillJob
from tasks.jobs.maintain import steps as maintenance
from tasks.jobs.rebuild import steps as rebuilding
from tasks.jobs.rebuild.tally import RebuildTally
from tasks.jobs.restore.requests import RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer
from tasks.jobs.retire import actions
from tasks.jobs.retire import steps as retiring
from tasks.jobs.retire.actions import Site as Retirement
from tasks.jobs.retire.decisions import Terms
from tasks.jobs.retire.tally import RetireTally
from tasks.jobs.retire.worker import Verifier
from tasks.jobs.scrub.worker import Check, Inspector
from tasks.plans.options import PlanOptions, build_plan
from tests.command import REPOSITORY, photograph
from tests.servers.endpoint import S3Endpoint
from tests.servers.radosgw import JOB_ACCESS_KEY, JOB_SECRET_KEY, JOB_USER
from tests.small_archive import HerePool, SmallArchive

pytestmark = [pytest.mark.slow, pytest.mark.radosgw]

POLICIES = REPOSITORY / "infra" / "policies"
NOTHING = "no/such/object"

READS = {"list archive", "get archive"}
SOURCES = {"list photos", "get photos"}
WRITES = {"put archive renditions", "put archive catalog", "put archive reports"}
MAY = {
    "archive": SOURCES | READS | WRITES,
    "backfill": SOURCES | READS | WRITES,
    "scrub": READS | {"put archive catalog"},
    "rebuild": READS | {"put archive catalog"},
    "restore": READS,
    "serve": READS,
    "report": READS | {"put archive reports"},
    "retire": SOURCES | READS | {"put archive catalog", "delete photos"},
    "maintain": READS | WRITES | {"delete archive"},
}
"""What each may do, in words; all else is refused."""


class Site:
    """Two buckets, who owns them, and who works on them."""

    def __init__(self, owner: S3Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        self.owner = owner
        self.worker = replace(owner, access_key=JOB_ACCESS_KEY, secret_key=JOB_SECRET_KEY)
        self.buckets = {"photos": owner.new_bucket(), "archive": owner.new_bucket()}
        self._monkeypatch = monkeypatch
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.delenv(name, raising=False)

    @property
    def made(self) -> SmallArchive:
        return SmallArchive(*(f"s3://{self.buckets[name]}" for name in ("photos", "archive")))

    def as_(self, who: S3Endpoint) -> None:
        for name, value in who.environment.items():
            self._monkeypatch.setenv(name, value)

    def client(self, who: S3Endpoint) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=who.url,
            aws_access_key_id=who.access_key,
            aws_secret_access_key=who.secret_key,
            region_name="us-east-1",
            config=Config(request_checksum_calculation="when_required"),
        )

    def allow(self, job: str) -> None:
        """Give the worker the policy of a job, bucket by bucket."""
        text = (POLICIES / f"{job}.json").read_text()
        for name, bucket in self.buckets.items():
            text = text.replace(f"arn:aws:s3:::{name}", f"arn:aws:s3:::{bucket}")
        policy = json.loads(text)
        for bucket in self.buckets.values():
            mine = [
                {**one, "Principal": {"AWS": [f"arn:aws:iam:::user/{JOB_USER}"]}}
                for one in policy["Statement"]
                if one["Resource"][0].split(":::")[1].split("/")[0] == bucket
            ]
            if mine:
                self.client(self.owner).put_bucket_policy(
                    Bucket=bucket, Policy=json.dumps({**policy, "Statement": mine})
                )
            else:
                self.client(self.owner).delete_bucket_policy(Bucket=bucket)
        self.as_(self.worker)

    def permitted(self) -> set[str]:
        """What the worker is let do, tried one by one on objects that there are not."""
        client = self.client(self.worker)
        photos, archive = self.buckets["photos"], self.buckets["archive"]
        tries: dict[str, Callable[[], Any]] = {
            "list photos": lambda: client.list_objects_v2(Bucket=photos, MaxKeys=1),
            "get photos": lambda: client.get_object(Bucket=photos, Key=NOTHING),
            "put photos": lambda: client.put_object(Bucket=photos, Key=NOTHING, Body=b""),
            "delete photos": lambda: client.delete_object(Bucket=photos, Key=NOTHING),
            "list archive": lambda: client.list_objects_v2(Bucket=archive, MaxKeys=1),
            "get archive": lambda: client.get_object(Bucket=archive, Key=NOTHING),
            "delete archive": lambda: client.delete_object(
                Bucket=archive, Key=f"renditions/{NOTHING}"
            ),
        }
        for folder in ("renditions", "catalog", "reports"):
            tries[f"put archive {folder}"] = lambda folder=folder: client.put_object(
                Bucket=archive, Key=f"{folder}/{NOTHING}", Body=b""
            )
        done = set()
        for name, attempt in tries.items():
            try:
                attempt()
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
                    continue
            done.add(name)
        return done


@pytest.fixture
def site(radosgw: S3Endpoint, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(radosgw, monkeypatch)
    site.as_(site.owner)
    return site


def _record(made: SmallArchive, job: str) -> None:
    write_run(made.catalog, JobRun(job=job, run_id=f"{job}-1", parameters={}), Counts())


def _archive(made: SmallArchive, _folder: Path) -> None:
    opening.open_for_writing.fn(made.source_url, made.archive_url)
    made.run("x2", "long-edge=16", run_id="run-2")
    assert {row.target for row in made.rows()} == {"x2", "long-edge=16"}


def _backfill(made: SmallArchive, _folder: Path) -> None:
    plan = build_plan(PlanOptions(targets=("long-edge=16",)))
    catalog = opening.open_archive.fn(made.archive_url, prove=True)
    job = BackfillJob(
        source_url=made.source_url, archive_url=made.archive_url, plan=plan, run_id="b-1"
    )
    run = Run("backfill", BackfillTally(), {})
    pool = HerePool(Backfiller(job).fill)
    total = backfilling.count_gaps.fn(catalog, plan)
    for wave in run.waves(backfilling.gaps_of(catalog, plan), cut=total, at_least=2):
        run.add(backfilling.backfill_wave.fn(wave, pool, catalog, job.run_id))
    assert run.tally.from_sources == len({row.source_key for row in made.rows()})
    _record(made, "backfill")


def _scrub(made: SmallArchive, _folder: Path) -> None:
    checks = [Check(row, restore=True) for row in made.rows()]
    assert Inspector(made.archive_url).inspect(checks) == []
    _record(made, "scrub")


def _rebuild(made: SmallArchive, _folder: Path) -> None:
    catalog = opening.open_archive.fn(made.archive_url, prove=True, lost=True)
    files = rebuilding.find_lr_files.fn(made.archive).files
    run = Run("rebuild", RebuildTally(), {})
    for wave in run.waves(files, cut=len(files), at_least=2):
        run.add(rebuilding.rebuild_wave.fn(wave, made.archive, catalog, run.run_id))
    assert (run.tally.present, len(run.tally.unreadable)) == (len(files) - 1, 1)  # the one left
    _record(made, "rebuild")


def _restore(made: SmallArchive, folder: Path) -> None:
    requests, missing = made.requests()
    assert not missing
    job = RestorationJob(
        archive_url=made.archive_url, destination_url=str(folder / "out"), overwrite=False
    )
    restorer = Restorer(job)
    assert all(isinstance(restorer.restore(one), Restored) for one in requests)


def _report(made: SmallArchive, _folder: Path) -> None:
    assert made.rows()
    made.archive.put("reports/run-1/index.html", b"a page")


def _retire(made: SmallArchive, _folder: Path) -> None:
    now = datetime.now(UTC)
    for grace in (timedelta(days=7), timedelta(0)):
        _, _, catalog = retiring.open_both.fn(made.source_url, made.archive_url, dry_run=False)
        site = Retirement(
            source=made.source,
            archive=made.archive,
            catalog=catalog,
            journal=Journal(made.archive),
            collection=made.source.place.name,
            terms=Terms(
                archived_before=now + timedelta(hours=1),
                marked_before=datetime.now(UTC) - grace,
            ),
            floors={},
            floor=Floor(),
            run_id="retire",
            dry_run=False,
        )
        chunks = retiring.chunks_of(retiring.list_completely.fn(site.source, EVERYTHING))
        actions.settle(site)
        pool = HerePool(Verifier(made.source_url, made.archive_url).verify)
        run = Run("retire", RetireTally(), {})
        for wave in run.waves(chunks, cut=len(chunks), at_least=2):
            run.add(retiring.retire_wave.fn(wave, site, pool))
    assert run.tally.deleted == 1
    _record(made, "retire")


def _maintain(made: SmallArchive, _folder: Path) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    keys = maintenance.find_garbage.fn(made.archive, made.catalog, later)
    assert maintenance.remove_garbage.fn(made.archive, keys, later).removed_objects == 1
    maintenance.remove_unfinished.fn(made.archive, later)
    maintenance.keep_networks.fn(made.archive, made.catalog)
    maintenance.keep_tables_up.fn(made.catalog, timedelta(hours=1))
    _record(made, "maintain")


JOBS: dict[str, Callable[[SmallArchive, Path], None]] = {
    "archive": _archive,
    "backfill": _backfill,
    "scrub": _scrub,
    "rebuild": _rebuild,
    "restore": _restore,
    "serve": _restore,
    "report": _report,
    "retire": _retire,
    "maintain": _maintain,
}


def test_every_policy_is_tried() -> None:
    assert {path.stem for path in POLICIES.glob("*.json")} == JOBS.keys() == MAY.keys()


@pytest.mark.parametrize("job", JOBS)
def test_a_job_works_with_its_policy_and_is_refused_beyond_it(
    site: Site, job: str, tmp_path: Path
) -> None:
    made = site.made
    site.as_(site.owner)
    _fill(made, tmp_path)
    site.allow(job)
    JOBS[job](made, tmp_path)
    assert site.permitted() == MAY[job]


def _fill(made: SmallArchive, folder: Path) -> None:
    """One photo archived, and an object that nothing names."""
    path = folder / "photo.png"
    photograph("chelsea", 40, 48).save(path)
    made.source.put("photo.png", path.read_bytes())
    made.run("x2")
    made.archive.put("renditions/x2/a/left.png", b"left by a killed run")
