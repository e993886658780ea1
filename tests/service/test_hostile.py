"""What nobody should ask for gets an answer below 500, in public words."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.service.access import Keys, new_key, read_keys
from flows.service.app import create_app
from flows.service.errors import PublicError
from flows.service.iiif import ImageRequest, parse
from flows.service.settings import PREFIX, ServeSettings, serve_settings
from flows.service.state import Service
from rescaling_core.errors import UsageError
from tasks.catalog.paging import Position
from tests.every_rescaler import EveryRescaler
from tests.service.conftest import client_of, listening
from tests.service.test_renditions import PHOTO, Listed


def named(*parts: str) -> str:
    return base64.urlsafe_b64encode("\0".join(parts).encode()).decode().rstrip("=")


IDS = [
    "x", "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "a" * 5000, "é", "%ff", "....",
    named("archive", "x2"), named("archive", "x2", "../../etc/passwd"),
    named("archive", "x2", "' OR 1=1 --"), named("archive", "x2'; DROP TABLE renditions", "a"),
    named("other", "x2", PHOTO), named("", "", ""), named("archive", "x2", "http://127.0.0.1/"),
    named("archive", "../..", PHOTO), named("archive", "x2", PHOTO) + ".zzzz",
    named("archive", "x2", "\ud7ff"), named("archive", "x2", "a", "b"), "====", "-_-_",
]  # fmt: skip


@pytest.mark.parametrize("name", IDS)
def test_an_id_of_nothing_is_not_found(client: TestClient, name: str) -> None:
    for path in (f"/v1/renditions/{name}", f"/v1/renditions/{name}/lr", f"/iiif/3/{name}/info.json",
                 f"/iiif/3/{name}/full/max/0/default.jpg"):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code == 404, (path, answer.text)
        assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "region=0,0,0,0", "region=0,0,62,1", "region=-1,0,2,2", "region=a", "region=1,2,3",
        "region=999999999,0,1,1", "region=0,0,999999999,999999999", "size=0,0", "size=,",
        "size=99999,99999", "size=999999,", "format=exe", "format=", "region=0,0,1,1&size=-1,5",
        "region=%00", "size=1e3,", "region=" + "1," * 3000,
    ],
)  # fmt: skip
def test_a_picture_that_cannot_be_is_refused(
    client: TestClient, listed: Listed, query: str
) -> None:
    answer = client.get(f"{listed[PHOTO]['links']['hr']}?{query}")
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["error"]["id"]


def test_a_picture_too_wide_for_its_format_is_refused(client: TestClient, listed: Listed) -> None:
    answer = client.get(listed[PHOTO]["links"]["hr"] + "?size=20000,2&format=webp")
    assert answer.status_code == 400
    assert "webp" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "query",
    [
        "cursor=x", "cursor=" + "A" * 5000, "limit=0", "limit=501", "limit=1e9", "limit=x",
        "psnr_min=nan", "psnr_min=inf", "psnr_max=-5", "state=gone", "archive=other",
        "archive=..%2f..", "glob=" + "*" * 2000, "prefix=" + "a" * 2000,
        "cursor=WyJhIiwgMV0", "cursor=bnVsbA",
    ],
)  # fmt: skip
def test_a_search_that_makes_no_sense_is_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/v1/renditions?{query}")
    assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.parametrize(
    "query",
    ["prefix=' OR 1=1 --", "glob=%25", "glob=*'*", "prefix=\\", "glob=\\", "target=x2' OR '1'='1",
     "prefix=%00", "prefix=%F4%8F%BF%BF", "glob=" + "*a" * 200],
)  # fmt: skip
def test_text_of_a_search_is_only_text(client: TestClient, query: str) -> None:
    answer = client.get(f"/v1/renditions?{query}")
    assert (answer.status_code, answer.json()["renditions"]) == (200, [])


SEGMENTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/?#"), max_size=20),
    st.from_regex(r"\A(\^?!?\d{0,12},\d{0,12}|pct:[\d.,]{1,20}|[\d,]{1,30}|max|full|square)\Z"),
)


def parsed(*parts: str) -> ImageRequest | PublicError:
    try:
        return parse(*parts, (61, 47), 10_000)
    except PublicError as error:
        return error


@settings(max_examples=300, deadline=None)
@given(region=SEGMENTS, size=SEGMENTS, rotation=SEGMENTS, last=SEGMENTS)
def test_any_iiif_path_is_a_picture_within_the_limits_or_a_public_error(
    region: str, size: str, rotation: str, last: str
) -> None:
    for turn, end in ((rotation, last), ("0", "default.jpg")):
        wanted = parsed(region, size, turn, end)
        if isinstance(wanted, PublicError):
            assert wanted.status == 400
            continue
        width, height = wanted.size
        assert width >= 1 <= height
        assert width * height <= 10_000
        wanted.area.check_within(61, 47)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_query_of_any_kind_is_a_5xx(client: TestClient, data: st.DataObject) -> None:
    """Every parameter that the OpenAPI names, with values of every kind."""
    paths = client.get("/openapi.json").json()["paths"]
    path = data.draw(st.sampled_from(sorted(paths)))
    known = st.sampled_from(["0,0,5,5", "max", "archive", named("archive", "x2", PHOTO)])
    values = st.one_of(st.text(max_size=30), st.integers().map(str), st.floats().map(str), known)
    query, url = {}, path
    for parameter in paths[path]["get"].get("parameters", []):
        value = data.draw(values)
        if parameter["in"] == "path":
            safe = "".join(c for c in value if c.isalnum() or c in "-_.,:!^") or "x"
            url = url.replace("{" + parameter["name"] + "}", safe)
        elif data.draw(st.booleans()):
            query[parameter["name"]] = value.encode("utf-8", "replace").decode()
    answer = client.get(url, params=query, follow_redirects=False)
    assert answer.status_code < 500, (url, query, answer.text)


def test_methods_and_bodies_that_nobody_asked_for(client: TestClient, listed: Listed) -> None:
    url = listed[PHOTO]["links"]["self"]
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, url).status_code == 405
    assert client.request("GET", url, content=b"x" * 100_000).status_code == 413
    assert client.get(url, headers={"Content-Length": "-1"}).status_code == 413
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_headers_that_make_no_sense_change_nothing(client: TestClient, listed: Listed) -> None:
    url = listed[PHOTO]["links"]["hr"]
    for name in ("Accept", "Range", "If-None-Match", "If-Range", "Authorization", "Origin"):
        for value in (
            ";" * 500,
            "," * 500,
            "bytes=" + "9" * 400,
            'q=";',
            "image/png;q=1e999",
        ):
            answer = client.get(url, headers={name: value})
            assert answer.status_code == 200, (name, value)


@pytest.fixture(scope="module")
def url(every_rescaler: EveryRescaler) -> Iterator[str]:
    # Of its own: a server that ends closes what its application works with.
    app = create_app({"archive": every_rescaler.url}, ServeSettings(), Keys((), anonymous=True))
    with listening(app) as url:
        yield url


@pytest.mark.parametrize(
    "flood",
    [
        b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"a" * 60 + b"\r\n",
        b"GET /healthz?" + b"a" * 90_000,
        b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 90_000,
        b"POST /try HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    ],
)
def test_headers_and_bodies_without_end_are_given_up(url: str, flood: bytes) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=60) as line:
        try:
            line.sendall(flood)
            for _ in range(100):  # 6 MB, of which no more than a part is taken
                line.sendall((b"X: " + b"a" * 60 + b"\r\n") * 1000)
        except OSError:  # it was closed meanwhile
            pass
        with suppress(OSError):
            answer = line.recv(4096)
    assert answer == b"" or 400 <= int(answer.split()[1]) < 500
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert line.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_cursor_far_behind_the_end_is_an_empty_page(client: TestClient) -> None:
    for key in ("\U0010ffff" * 200, "z" * 1000, "restored/wide.png" + "0" * 900):
        cursor = Position(key, "x9").cursor()
        answer = client.get("/v1/renditions", params={"cursor": cursor, "limit": 500})
        assert answer.status_code == 200, key
        assert answer.json()["next"] is None


def test_what_does_not_fit_is_told_when_to_come_again(every_rescaler: EveryRescaler) -> None:
    limits = ServeSettings(threads=1, waiting=0)
    app = create_app({"archive": every_rescaler.url}, limits, Keys((), anonymous=True))
    client, go = client_of(app), Event()
    service: Service = app.state.service
    found = client.get("/v1/renditions", params={"glob": "*/photo.png", "limit": 1})
    hr = found.json()["renditions"][0]["links"]["hr"]
    assert client.get(hr, params={"region": "0,0,8,8"}).status_code == 200
    running = service.work._pool.submit(go.wait, 30)
    service.work._under_way += 1
    running.add_done_callback(service.work._done)
    refused = client.get(hr)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    service.work._room, service.work._seconds = 2, 0.2
    waited = client.get(hr)  # in vain
    assert (waited.status_code, waited.headers["retry-after"]) == (429, "1")
    # Nobody waits for a network who needs none, as for a tile that is kept or the LR image.
    assert client.get("/v1/renditions").status_code == 200
    for wanted in ({"region": "2,2,4,4"}, {"size": "10,"}):
        assert client.get(hr, params=wanted).status_code == 200
    go.set()
    running.result()
    assert "refold_refused_total 2.0" in client.get("/metrics").text


def test_what_takes_too_long_is_given_up(every_rescaler: EveryRescaler) -> None:
    limits = ServeSettings(threads=1, seconds=0.2)
    app = create_app({"archive": every_rescaler.url}, limits, Keys((), anonymous=True))
    go, service = Event(), app.state.service
    page = service.archives["archive"].page
    service.archives["archive"].page = lambda *asked: go.wait(30) and page(*asked)
    late = client_of(app).get("/v1/renditions")
    go.set()
    assert late.status_code == 503
    assert int(late.headers["retry-after"]) > 0


class TestKeys:
    """Who may read."""

    @pytest.fixture
    def keyed(self, every_rescaler: EveryRescaler, tmp_path: Path) -> tuple[FastAPI, str, str]:
        all_key, all_line = new_key("all")
        one_key, one_line = new_key("one")
        file = tmp_path / "keys"
        file.write_text(f"# readers\n{all_line}\n{one_line} second # only that\n")
        keys = read_keys(file, anonymous=None, host="127.0.0.1")
        urls = {"first": every_rescaler.url, "second": every_rescaler.url}
        return create_app(urls, ServeSettings(), keys), all_key, one_key

    def test_each_key_opens_what_it_is_for(self, keyed: tuple[FastAPI, str, str]) -> None:
        app, all_key, one_key = keyed
        client = client_of(app)

        def status(path: str, key: str | None) -> int:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            return client.get(path, headers=headers).status_code

        first, second = "/v1/renditions?archive=first", "/v1/renditions?archive=second"
        assert [status(first, key) for key in (None, "wrong", one_key, all_key)] == [
            401, 401, 401, 200,
        ]  # fmt: skip
        assert [status(second, key) for key in (None, one_key, all_key)] == [401, 200, 200]
        assert client.get(second, headers={"X-API-Key": one_key}).status_code == 200
        assert status("/metrics", None) == 401
        assert status("/healthz", None) == 200
        url = f"/iiif/3/{named('first', 'x2', PHOTO)}/info.json"
        assert [status(url, key) for key in (None, one_key, all_key)] == [401, 401, 200]

    def test_pages_name_only_archives_that_the_key_opens(
        self, keyed: tuple[FastAPI, str, str]
    ) -> None:
        app, all_key, one_key = keyed
        client = client_of(app)
        assert client.get("/").status_code == 401
        page = client.get("/", headers={"X-API-Key": one_key})
        assert page.url.path == "/pages/second"
        assert "first" not in page.text
        assert "/pages/first" in client.get("/", headers={"X-API-Key": all_key}).text

    def test_answers_to_a_key_are_private(self, keyed: tuple[FastAPI, str, str]) -> None:
        app, all_key, _ = keyed
        answer = client_of(app).get(
            f"/v1/renditions/{named('first', 'x2', PHOTO)}/lr", headers={"X-API-Key": all_key}
        )
        assert answer.headers["cache-control"].startswith("private")

    def test_beyond_this_machine_keys_are_needed(self, tmp_path: Path) -> None:
        assert read_keys(None, anonymous=None, host="::1").anonymous
        for host in ("0.0.0.0", "::", "192.168.1.2", "example.org"):
            with pytest.raises(UsageError, match="nobody could read"):
                read_keys(None, anonymous=None, host=host)
            assert read_keys(None, anonymous=True, host=host).anonymous
        (tmp_path / "bad").write_text("name nodigest\n")
        with pytest.raises(UsageError, match="line 1"):
            read_keys(tmp_path / "bad", anonymous=None, host="::")
        with pytest.raises(UsageError, match="cannot be read"):
            read_keys(tmp_path / "none", anonymous=None, host="::")
        with pytest.raises(UsageError, match="a name is"):
            new_key("two words")


@pytest.mark.parametrize(
    ("name", "value"),
    [("THREADS", "0"), ("SECONDS", "inf"), ("MAX_PIXELS", "many"), ("BASE_URL", "ftp://x")],
)
def test_a_setting_that_cannot_be_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"REFOLD_SERVE_{name}", value)
    with pytest.raises(UsageError, match=f"REFOLD_SERVE_{name}="):
        serve_settings()


def test_the_openapi_has_an_example_of_every_kind_of_answer(client: TestClient) -> None:
    document: dict[str, Any] = client.get("/openapi.json").json()
    for name in ("Described", "Listed", "Problem"):
        assert document["components"]["schemas"][name]["examples"], name
    for path in ("/v1/renditions", "/v1/renditions/{id}/hr", "/iiif/3/{id}/info.json", "/metrics"):
        assert document["paths"][path]["get"]["summary"], path


def test_the_documentation_names_every_setting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(REFOLD_SERVE_\w+)`", page, re.MULTILINE))
    assert named == {f"{PREFIX}{name.upper()}" for name in ServeSettings.model_fields}
