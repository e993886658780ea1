"""Jobs that restore many sources into a place that the operator allowed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from flows.service.access import Keys, new_key, read_keys
from flows.service.app import JOBS_FOLDER, create_app
from flows.service.job_records import JobRecords, Order, new_id
from flows.service.jobs import Jobs
from flows.service.settings import ServeSettings
from flows.service.state import Service
from rescaling_core.photo.encode import as_image
from tasks.renditions.archive import Archive
from tasks.storage import open_store
from tests.every_rescaler import EveryRescaler
from tests.service.conftest import client_of
from tests.service.test_renditions import PHOTO

WIDE = "restored/wide.png"
JOBS = "/v1/restorations"


@dataclass(frozen=True)
class Place:
    client: TestClient
    service: Service
    folder: Path

    def ask(self, **wanted: Any) -> Any:
        return self.client.post(JOBS, json={"destination": "out", **wanted})


@pytest.fixture(scope="module")
def place(every_rescaler: EveryRescaler, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("jobs") / "out"
    limits = ServeSettings(destinations=str(folder))
    app = create_app({"archive": every_rescaler.url}, limits, Keys((), anonymous=True))
    return Place(client_of(app), app.state.service, folder)


@pytest.fixture
def busy(place: Place) -> Iterator[None]:
    """Nothing that is asked for begins, since only a service that was started does jobs."""
    yield
    for job in place.service.jobs.all():
        place.service.jobs.cancel(job.id)


def another(place: Place, archive: str) -> Place:
    """One more process of the same service, as far as another application is one."""
    limits = ServeSettings(destinations=str(place.folder))
    app = create_app({"archive": archive}, limits, Keys((), anonymous=True))
    return Place(client_of(app), app.state.service, place.folder)


def impatient(place: Place, archive: str) -> Jobs:
    """As the service's own, but it takes a process for dead sooner."""
    records = JobRecords(open_store(f"{place.folder}/{JOBS_FOLDER}"))
    return Jobs(records, {"archive": archive}, {"out": str(place.folder)}, dead_after=0.4)


@pytest.mark.slow
def test_a_job_restores_what_restore_would_though_the_process_that_began_it_died(
    place: Place, every_rescaler: EveryRescaler, prefect_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    asked = place.ask(keys=[WIDE, "no/such.png"])
    assert asked.status_code == 202, asked.text
    url, other = asked.headers["location"], another(place, every_rescaler.url)
    assert other.client.get(url).json() == asked.json()
    jobs = impatient(place, every_rescaler.url)
    records = jobs._records
    assert records is not None
    record = records.one(asked.json()["id"])
    assert record is not None
    assert records.claim(record) == 1  # by a process that does no more
    assert records.claim(record) is None
    assert other.client.get(url).json()["state"] == "running"
    jobs.start()
    while (told := other.client.get(url).json())["state"] in ("queued", "running"):
        assert told["total"] == 2
        assert told["done"] <= 1
        time.sleep(0.5)
    jobs.close()
    assert told["state"] == "done"
    assert told == place.client.get(url).json()
    assert told["failed"] == ["no/such.png"]
    (output,) = told["outputs"]
    assert (output["key"], told["done"]) == (WIDE, 1)
    with Image.open(place.folder / told["folder"] / output["path"]) as image:
        written = np.asarray(image)
    assert np.array_equal(written, as_image(Archive(every_rescaler.url).restore(WIDE)))


@pytest.mark.slow
def test_a_job_that_runs_ends_with_its_service_or_is_cancelled_by_another(
    place: Place, every_rescaler: EveryRescaler, prefect_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    url = place.ask(prefix="").headers["location"]

    def begun(jobs: Jobs) -> list[psutil.Process]:
        jobs.start()
        while place.client.get(url).json()["state"] == "queued":
            time.sleep(0.1)
        while True:
            children = psutil.Process().children()
            found = [one for one in children if "flows.service.restoring" in one.cmdline()]
            if found:
                return found
            time.sleep(0.1)

    first = impatient(place, every_rescaler.url)
    processes = begun(first)
    first.close()
    psutil.wait_procs(processes, timeout=60)
    assert not any(one.is_running() for one in processes)
    assert place.client.get(url).json()["state"] == "queued"  # for the next start
    second = impatient(place, every_rescaler.url)
    processes = begun(second)
    other = another(place, every_rescaler.url)
    assert other.client.delete(url).json()["state"] == "cancelled"
    psutil.wait_procs(processes, timeout=90)
    assert not any(one.is_running() for one in processes)
    second.close()
    assert place.client.get(url).json()["state"] == "cancelled"


def test_a_job_that_ends_every_process_is_given_up(
    place: Place, every_rescaler: EveryRescaler
) -> None:
    id = place.ask(keys=[PHOTO]).json()["id"]
    jobs = impatient(place, every_rescaler.url)
    assert jobs._records is not None
    for number in range(1, 4):
        record = jobs._records.one(id)
        assert record is not None
        assert jobs._records.claim(record) == number
    jobs.start()
    while place.client.get(f"{JOBS}/{id}").json()["state"] == "running":
        time.sleep(0.05)
    jobs.close()
    assert place.client.get(f"{JOBS}/{id}").json()["state"] == "failed"


def test_records_that_somebody_else_wrote_are_nobodys_jobs(
    place: Place, every_rescaler: EveryRescaler
) -> None:
    jobs = impatient(place, every_rescaler.url)
    assert jobs._records is not None
    fine = Order(
        archive=every_rescaler.url, destination="out", keys=(PHOTO,), target=None,
        asked_at=datetime.now(UTC),
    )  # fmt: skip
    foreign = [
        fine.model_copy(update={"archive": "http://169.254.169.254/"}),
        fine.model_copy(update={"destination": "../elsewhere"}),
    ]
    ids = [new_id() for _ in range(3)]
    for id, order in zip(ids, foreign, strict=False):
        jobs._records.add(id, order)
    records = place.folder / JOBS_FOLDER
    (records / ids[2]).mkdir()
    (records / ids[2] / "order.json").write_text('{"archive": 1}')
    (records / "20261126-000000-x").mkdir()
    (records / "20261126-000000-x" / "order.json").write_text("{}")
    assert not jobs._do_next()
    shown = {one["id"] for one in place.client.get(JOBS).json()}
    for id in (*ids, "20261126-000000-x", "..", "%2e%2e%2fout", "x" * 3000):
        assert id not in shown
        assert place.client.get(f"{JOBS}/{id}").status_code == 404
    for id in ids:
        jobs._records.forget(id)
        assert jobs._records.one(id) is None


def test_a_condition_chooses_sources(place: Place, busy: None) -> None:
    told = place.ask(glob="*dlv-irn*", psnr_min=0).json()
    assert (told["state"], told["total"], told["done"]) == ("queued", 1, 0)
    assert place.client.get(f"{JOBS}/{told['id']}").json() == told
    assert told["id"] in [one["id"] for one in place.client.get(JOBS).json()]
    assert place.client.delete(f"{JOBS}/{told['id']}").json()["state"] == "cancelled"
    assert place.client.delete(f"{JOBS}/{told['id']}").json()["state"] == "cancelled"
    assert not (place.folder / told["id"]).exists()


def test_jobs_that_do_not_fit_are_told_when_to_come_again(place: Place, busy: None) -> None:
    statuses = [place.ask(keys=[PHOTO]).status_code for _ in range(20)]
    assert statuses == [202] * 16 + [429] * 4


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"keys": [PHOTO], "destination": "elsewhere"}, 422),
        ({"keys": [PHOTO], "destination": "/tmp"}, 422),
        ({"keys": [PHOTO], "destination": "s3://bucket/folder"}, 422),
        ({"keys": [PHOTO], "destination": "http://169.254.169.254/"}, 422),
        ({"keys": [PHOTO], "archive": "http://169.254.169.254/"}, 404),
        ({"keys": [PHOTO], "archive": "../archive"}, 404),
        ({"keys": [PHOTO], "where": "1=1"}, 422),
        ({"keys": [PHOTO], "prefix": "a"}, 422),
        ({"keys": []}, 422),
        ({"keys": ["a" * 2000]}, 422),
        ({"keys": "*"}, 422),
        ({}, 422),
        ({"prefix": "zz"}, 404),
        ({"glob": "' OR '1'='1"}, 404),
        ({"keys": [PHOTO], "target": "--all"}, 400),
        ({"keys": [PHOTO], "target": "long-edge=9"}, 422),
        ({"psnr_min": -1}, 422),
        ({"psnr_min": "x"}, 422),
        ({"keys": ["x" * 1000] * 100}, 413),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    place: Place, busy: None, wanted: dict[str, Any], status: int
) -> None:
    answer = place.ask(**wanted)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]
    assert place.client.get(f"{JOBS}/{wanted.get('target', 'x')}").status_code == 404


def test_orders_that_are_no_json_or_come_from_elsewhere_are_refused(place: Place) -> None:
    post = place.client.post
    kind = {"Content-Type": "application/json"}
    assert post(JOBS, content=b"[" * 60_000, headers=kind).status_code in (400, 422)
    assert post(JOBS, content=b'{"destination": "out"', headers=kind).status_code in (400, 422)
    wanted = b'{"destination": "out", "prefix": ""}'
    assert post(JOBS, content=wanted, headers={"Content-Type": "text/plain"}).status_code == 422
    for other in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert post(JOBS, content=wanted, headers=kind | other).status_code == 403
        assert place.client.delete(f"{JOBS}/x", headers=other).status_code == 403


def test_who_may_read_may_not_restore(every_rescaler: EveryRescaler, tmp_path: Path) -> None:
    reading, reads = new_key("reader")
    restoring, restores = new_key("restorer")
    (tmp_path / "keys").write_text(f"{reads}\n{restores} archive +restore\n")
    keys = read_keys(tmp_path / "keys", anonymous=None, host="0.0.0.0")
    limits = ServeSettings(destinations=str(tmp_path / "out"))
    app = create_app({"archive": every_rescaler.url}, limits, keys, host="0.0.0.0")
    client = client_of(app)

    def asked(key: str | None) -> Any:
        headers = {} if key is None else {"X-API-Key": key}
        wanted = {"destination": "out", "keys": [PHOTO]}
        return client.post(JOBS, json=wanted, headers=headers)

    assert [asked(key).status_code for key in (None, reading)] == [401, 403]
    job = asked(restoring)
    assert job.status_code == 202
    url = job.headers["location"]
    assert client.get(url, headers={"X-API-Key": reading}).status_code == 404
    assert client.get(JOBS, headers={"X-API-Key": reading}).json() == []
    assert client.get(url, headers={"X-API-Key": restoring}).status_code == 200
    # Nor may those who read without a key beyond this machine, or anybody where no place is named.
    for host, values in (("0.0.0.0", {"destinations": str(tmp_path)}), ("127.0.0.1", {})):
        open_app = create_app(
            {"archive": every_rescaler.url}, ServeSettings(**values), Keys((), anonymous=True),
            host=host,
        )  # fmt: skip
        wanted = {"destination": tmp_path.name, "keys": [PHOTO]}
        assert client_of(open_app).post(JOBS, json=wanted).status_code == 403
