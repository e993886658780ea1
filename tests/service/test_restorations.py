"""Jobs that restore many sources into a place that the operator allowed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from flows.service.access import Keys, new_key, read_keys
from flows.service.app import create_app
from flows.service.settings import ServeSettings
from flows.service.state import Service
from rescaling_core.photo.encode import as_image
from tasks.renditions.archive import Archive
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
    """Nothing that is asked for begins."""
    go = Event()
    place.service.jobs._pool.submit(go.wait, 120)
    yield
    for job in place.service.jobs.all():
        place.service.jobs.cancel(job)
    go.set()


@pytest.mark.slow
def test_a_job_restores_what_restore_would(
    place: Place, every_rescaler: EveryRescaler, prefect_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    asked = place.ask(keys=[WIDE, "no/such.png"])
    assert asked.status_code == 202, asked.text
    url = asked.headers["location"]
    while (told := place.client.get(url).json())["state"] in ("queued", "running"):
        assert told["total"] == 2
        assert told["done"] <= 1
        time.sleep(0.5)
    assert told["state"] == "done"
    assert told["failed"] == ["no/such.png"]
    (output,) = told["outputs"]
    assert (output["key"], told["done"]) == (WIDE, 1)
    with Image.open(place.folder / told["folder"] / output["path"]) as image:
        written = np.asarray(image)
    assert np.array_equal(written, as_image(Archive(every_rescaler.url).restore(WIDE)))


@pytest.mark.slow
def test_a_job_that_runs_is_cancelled(
    place: Place, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    url = place.ask(prefix="").headers["location"]
    while place.client.get(url).json()["state"] == "queued":
        time.sleep(0.1)
    job = place.service.jobs.get(url.rpartition("/")[2])
    assert job is not None
    process = job.process
    assert place.client.delete(url).json()["state"] == "cancelled"
    if process is not None:  # else it had ended by itself, which is no failure of cancelling
        process.wait(60)
    assert place.client.get(url).json()["state"] == "cancelled"


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
    client, service = client_of(app), app.state.service
    go = Event()
    service.jobs._pool.submit(go.wait, 120)

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
    service.jobs.close()
    go.set()
    # Nor may those who read without a key beyond this machine, or anybody where no place is named.
    for host, values in (("0.0.0.0", {"destinations": str(tmp_path)}), ("127.0.0.1", {})):
        open_app = create_app(
            {"archive": every_rescaler.url}, ServeSettings(**values), Keys((), anonymous=True),
            host=host,
        )  # fmt: skip
        wanted = {"destination": tmp_path.name, "keys": [PHOTO]}
        assert client_of(open_app).post(JOBS, json=wanted).status_code == 403
