"""The try page: what is made of a photo that a visitor sends, and what is refused."""

from __future__ import annotations

import re
import socket
import zlib
from collections.abc import Iterator
from threading import Event
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from flows.service.access import Keys
from flows.service.app import create_app
from flows.service.settings import ServeSettings
from flows.service.state import Service
from tests.every_rescaler import EveryRescaler
from tests.service.conftest import client_of, listening
from tests.service.test_renditions import picture
from tests.unit.photo_samples import rgb, written

FORM = {"rescaler": "irn-x2-lite.2026-11", "scale": "2", "codec": "webp", "floor": "30"}


@pytest.fixture(scope="module")
def photo() -> bytes:
    return written(Image.fromarray(rgb(160, 120)), "PNG")


@pytest.fixture(scope="module")
def app(every_rescaler: EveryRescaler) -> FastAPI:
    limits = ServeSettings(try_pixels=40_000, try_bytes=400_000)
    return create_app({"archive": every_rescaler.url}, limits, Keys((), anonymous=True))


@pytest.fixture(scope="module")
def client(app: FastAPI) -> TestClient:
    return client_of(app)


def sent(client: TestClient, data: bytes, **form: str) -> Any:
    return client.post("/try", data={**FORM, **form}, files={"photo": ("a/b/pier.png", data)})


def rows_of(page: str) -> dict[str, list[str]]:
    """The table: title → the other cells."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = (re.findall(r"<td[^>]*>(.*?)</td>", row) for row in body.split("</tr>"))
    return {cells[0]: cells[1:] for cells in rows if cells}


def test_a_photo_is_restored_measured_and_compared(client: TestClient, photo: bytes) -> None:
    answer = sent(client, photo)
    assert answer.status_code == 200
    assert re.fullmatch(r"/try/[\w-]{22}", answer.url.path)
    assert "<h1>pier.png</h1>" in answer.text
    rows = rows_of(answer.text)
    assert rows["Your file"][0] == f"{len(photo):,}"
    here = answer.url.path
    lr = client.get(f"{here}/lr")
    assert rows["Refold"][0] == f"{len(lr.content):,}"
    assert picture(lr.content).shape == (60, 80, 3)
    # What is said of the quality is what the pictures show.
    restored = picture(client.get(f"{here}/restored/full/max").content)
    source = picture(client.get(f"{here}/source/full/max").content)
    assert np.array_equal(source, rgb(160, 120))
    luma = np.array([65.481, 128.553, 24.966]) / 255
    apart = (restored.astype(float) - source) @ luma
    assert abs(10 * np.log10(255**2 / np.mean(apart**2)) - float(rows["Refold"][2])) < 0.02
    assert all(float(rows[name][2]) >= 30 for name in ("Refold", "AVIF alone", "JPEG XL alone"))
    cut = picture(client.get(f"{here}/restored/10,20,30,40/30,40").content)
    assert np.array_equal(cut, restored[20:60, 10:40])
    assert picture(client.get(f"{here}/lr/full/max").content).shape == source.shape


def test_without_a_floor_the_others_reach_what_was_measured(
    client: TestClient, photo: bytes
) -> None:
    rows = rows_of(sent(client, photo, floor="", quality="60").text)
    assert "quality 60" in rows["Refold"][3]
    assert float(rows["AVIF alone"][2]) >= float(rows["Refold"][2]) - 0.01


def test_a_turned_photo_is_shown_upright(client: TestClient) -> None:
    image = Image.fromarray(rgb(160, 120))
    turned = image.getexif()
    turned[0x0112] = 6
    data = written(image, "JPEG", exif=turned.tobytes(), quality=95)
    answer = sent(client, data, rescaler="bicubic", codec="png", floor="")
    source = picture(client.get(f"{answer.url.path}/source/full/max").content)
    assert source.shape == (160, 120, 3)
    assert picture(client.get(f"{answer.url.path}/restored/full/max").content).shape == source.shape


def test_what_an_archive_would_not_store_is_said_so(client: TestClient, photo: bytes) -> None:
    small = written(Image.fromarray(rgb(160, 120)), "JPEG", quality=20)
    for data, said in ((small, True), (photo, False)):
        page = sent(client, data, rescaler="bicubic", codec="png", floor="").text
        assert ("an archive would keep your file" in page) == said


def test_a_floor_that_is_not_reached_is_said_so(client: TestClient, photo: bytes) -> None:
    answer = sent(client, photo, rescaler="bicubic", codec="png", floor="60")
    assert answer.status_code == 200
    assert "An archive would keep your file as it is" in answer.text
    assert float(rows_of(answer.text)["AVIF alone"][2] or 60) >= 60
    assert client.get(f"{answer.url.path}/restored/full/max").status_code == 404
    assert client.get(f"{answer.url.path}/lr").status_code == 404


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it has 900 million pixels."""
    head = (30_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])

    def chunk(name: bytes, data: bytes) -> bytes:
        checked = name + data
        return len(data).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(900)))
            + chunk(b"IEND", b""))  # fmt: skip


@pytest.mark.parametrize(
    ("data", "form", "status", "said"),
    [
        (b"", {}, 400, "empty"),
        (b"hello" * 50, {}, 422, ""),
        (bomb(), {}, 413, "40,000 pixels"),
        (b"x" * 400_001, {}, 413, "400000 bytes"),
        (None, {"rescaler": "/etc/passwd"}, 422, "rescaler"),
        (None, {"rescaler": "https://127.0.0.1/x#sha256=" + "0" * 64}, 422, "rescaler"),
        (None, {"scale": "0"}, 400, "scale"),
        (None, {"scale": "3"}, 422, "no rescaler serves"),
        (None, {"codec": "exe"}, 422, "codec"),
        (None, {"codec": "png", "quality": "50"}, 422, "quality"),
        (None, {"quality": "1e9"}, 400, "quality"),
        (None, {"floor": "nan"}, 400, "floor"),
        (None, {"floor": "x" * 2000}, 400, "form"),
        (None, {f"f{i}": "x" for i in range(30)}, 400, "form"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    client: TestClient, photo: bytes, data: bytes | None, form: dict[str, str], status: int,
    said: str,
) -> None:  # fmt: skip
    answer = sent(client, photo if data is None else data, **form)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]["message"]


def test_a_browser_without_scripts_gets_a_page_that_says_what_is_wrong(
    client: TestClient, photo: bytes
) -> None:
    answer = client.post(
        "/try", data={**FORM, "floor": "<b>"}, files={"photo": photo},
        headers={"Accept": "text/html,*/*;q=0.8"},
    )  # fmt: skip
    assert answer.status_code == 400
    assert 'role="alert">floor: expected a number from 1 to 90.<' in answer.text
    assert 'action="/try"' in answer.text


def test_forms_that_are_none_are_refused(client: TestClient, photo: bytes) -> None:
    assert client.post("/try", data={"photo": "text"}).status_code == 400
    assert client.post("/try", files={"other": photo}).status_code == 400
    kind = {"Content-Type": "multipart/form-data"}
    assert client.post("/try", content=b"--x", headers=kind).status_code == 400
    assert client.post("/try", content=b"x" * 600_000, headers=kind).status_code == 413
    assert client.post("/try", content=iter([b"x"] * 9), headers=kind).status_code == 411


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
    ],
)
def test_pages_of_other_sites_may_not_send_photos(
    client: TestClient, photo: bytes, headers: dict[str, str]
) -> None:
    answer = client.post("/try", data=FORM, files={"photo": photo}, headers=headers)
    assert answer.status_code == 403


def test_one_photo_at_a_time(app: FastAPI, client: TestClient, photo: bytes) -> None:
    service: Service = app.state.service
    go = Event()
    running = service.trying._pool.submit(go.wait, 60)
    service.trying._under_way += 1
    running.add_done_callback(service.trying._done)
    refused = sent(client, photo)
    go.set()
    running.result()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert sent(client, photo, rescaler="bicubic", floor="").status_code == 200


def test_a_trial_is_forgotten(client: TestClient, photo: bytes) -> None:
    form = {"rescaler": "bicubic", "codec": "png", "floor": ""}
    first = sent(client, photo, **form).url.path
    for _ in range(8):
        sent(client, photo, **form)
    assert client.get(first).status_code == 404
    for name in ("x", "%2e%2e", "a" * 3000):
        assert client.get(f"/try/{name}").status_code == 404


def test_it_is_off_beyond_this_machine(every_rescaler: EveryRescaler, photo: bytes) -> None:
    def served(host: str, **values: Any) -> TestClient:
        keys = Keys((), anonymous=True)
        urls = {"archive": every_rescaler.url}
        return client_of(create_app(urls, ServeSettings(**values), keys, host=host))

    for client in (served("0.0.0.0"), served("127.0.0.1", try_page=False)):
        assert client.get("/try").status_code == 404
        assert sent(client, photo).status_code == 404
        assert "/try" not in client.get("/").text
    assert served("0.0.0.0", try_page=True).get("/try").status_code == 200


@pytest.fixture(scope="module")
def slow(every_rescaler: EveryRescaler) -> Iterator[str]:
    limits = ServeSettings(seconds=0.5)
    app = create_app({"archive": every_rescaler.url}, limits, Keys((), anonymous=True))
    with listening(app) as url:
        yield url


def test_a_photo_that_comes_too_slowly_is_not_waited_for(slow: str) -> None:
    host, _, port = slow.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(
            f"POST /try HTTP/1.1\r\nHost: {host}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9999\r\n\r\n--x\r\n"
            "Content-Disposition: form-data; name=photo; "
            "filename=a\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer and (more := line.recv(4096)):
            answer += more
    assert answer.startswith(b"HTTP/1.1 408")
