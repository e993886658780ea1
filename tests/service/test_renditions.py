"""Renditions over HTTP, against the archive that they come from."""

from __future__ import annotations

import hashlib
import io
import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from flows.service.access import Keys
from flows.service.app import create_app
from flows.service.settings import ServeSettings
from rescaling_core.photo.encode import as_image
from tasks.renditions.archive import Archive
from tests.every_rescaler import EveryRescaler
from tests.service.conftest import client_of, listening

Listed = dict[str, dict[str, Any]]

PHOTO = "16 tiny-dlv-irn-x2/photo.png"
LOGO = "08 tiny-irn-x2/logo.png"
PHONE = "09 tiny-irn-x2/phone/ü % & <1>.jpg"


def picture(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


def test_pages_hold_every_rendition_once(client: TestClient, listed: Listed) -> None:
    keys, cursor = [], None
    while True:
        params: dict[str, Any] = {"limit": 7} | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/renditions", params=params).json()
        keys += [one["key"] for one in page["renditions"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert keys == sorted(listed)


def test_a_search_finds_by_key_target_and_quality(client: TestClient) -> None:
    def found(**params: Any) -> list[str]:
        answer = client.get("/v1/renditions", params=params)
        assert answer.status_code == 200, answer.text
        return [one["key"] for one in answer.json()["renditions"]]

    assert found(prefix="restored/") == ["restored/wide.png"]
    assert found(glob="*firn*") == ["18 tiny-firn-x2/photo.png"]
    assert found(target="x3") == ["11 tiny-irn-x3/photo.png"]
    assert found(psnr_min=99) == ["25 jpeg-transcode/phone/ü % & <1>.jpg"]
    assert found(state="kept") == []


def test_the_lr_file_comes_as_it_is_stored_with_its_digest(
    client: TestClient, listed: Listed, every_rescaler: EveryRescaler
) -> None:
    archive = Archive(every_rescaler.url)
    for key, one in listed.items():
        answer = client.get(one["links"]["lr"])
        assert answer.status_code == 200, key
        assert answer.content == archive.lr_file(archive.row(key, one["target"]))
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith("image/"), key


def test_ranges_of_the_lr_file(client: TestClient, listed: Listed) -> None:
    url = listed[PHOTO]["links"]["lr"]
    whole = client.get(url).content

    def asked(text: str, **headers: str) -> Any:
        return client.get(url, headers={"Range": text} | headers)

    for text, expected in [("bytes=0-9", whole[:10]), ("bytes=5-", whole[5:]),
                           ("bytes=-7", whole[-7:]), ("bytes=3-999999", whole[3:])]:  # fmt: skip
        answer = asked(text)
        assert (answer.status_code, answer.content) == (206, expected)
    assert asked("bytes=0-9").headers["content-range"] == f"bytes 0-9/{len(whole)}"
    assert asked("bytes=999999-").status_code == 416
    assert asked("bytes=5-2").status_code == 416
    for text in ("bytes=0-1,4-5", "lines=1-2", "bytes=x-", "bytes=-"):
        answer = asked(text)
        assert (answer.status_code, answer.content) == (200, whole)
    assert asked("bytes=0-9", **{"If-Range": '"other"'}).status_code == 200


def test_head_tells_what_get_would(every_rescaler: EveryRescaler, listed: Listed) -> None:
    urls = {"archive": every_rescaler.url}
    with listening(create_app(urls, ServeSettings(), Keys((), anonymous=True))) as url:
        for path in (listed[PHOTO]["links"]["lr"], listed[PHOTO]["links"]["hr"], "/pages/archive"):
            got = httpx.get(url + path)
            head = httpx.head(url + path)
            assert (head.status_code, head.content) == (200, b"")
            for name in ("content-type", "content-length", "etag"):
                assert head.headers.get(name) == got.headers.get(name), (path, name)


def test_what_a_client_has_is_not_sent_again(client: TestClient, listed: Listed) -> None:
    for url in (listed[PHOTO]["links"]["lr"], listed[PHOTO]["links"]["hr"] + "?region=0,0,9,9"):
        etag = client.get(url).headers["etag"]
        again = client.get(url, headers={"If-None-Match": f'"x", {etag}'})
        assert (again.status_code, again.content) == (304, b"")
        assert client.get(url, headers={"If-None-Match": '"x"'}).status_code == 200


def test_the_restored_image_is_that_of_the_archive(
    client: TestClient, listed: Listed, every_rescaler: EveryRescaler
) -> None:
    archive = Archive(every_rescaler.url)
    for key, one in listed.items():
        if not one["restorable"]:
            assert "hr" not in one["links"]
            continue
        answer = client.get(one["links"]["hr"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), key
        restored = archive.restore(key, one["target"])
        assert np.array_equal(picture(answer.content), np.asarray(as_image(restored))), key
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.info.get("icc_profile") == restored.icc
            assert image.getexif().get(0x0112, 1) == restored.orientation


def test_a_region_and_a_size_are_what_was_asked_for(client: TestClient, listed: Listed) -> None:
    url = listed[PHOTO]["links"]["hr"]
    whole = picture(client.get(url).content)
    part = client.get(url, params={"region": "20,10,30,25", "format": "png"})
    assert np.array_equal(picture(part.content), whole[10:35, 20:50])
    for size, expected in [("30,", (23, 30, 3)), (",10", (10, 13, 3)), ("5,6", (6, 5, 3))]:
        small = client.get(url, params={"size": size, "format": "png"})
        assert picture(small.content).shape == expected


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("image/webp,image/png", "image/webp"), ("image/avif;q=0.5,image/jpeg;q=0.9", "image/jpeg"),
     ("*/*", "image/png"), ("text/html", "image/png"), ("image/webp;q=x", "image/png"),
     ("image/avif", "image/avif")],
)  # fmt: skip
def test_the_format_is_what_a_client_prefers(
    client: TestClient, listed: Listed, accept: str, kind: str
) -> None:
    for key in (PHOTO, LOGO, "22 lanczos/grey.png"):
        answer = client.get(listed[key]["links"]["hr"], headers={"Accept": accept})
        assert answer.headers["content-type"] == kind
        with Image.open(io.BytesIO(answer.content)) as image:
            assert Image.MIME[image.format or ""] == kind


def test_an_id_with_an_old_digest_names_nothing_any_more(
    client: TestClient, listed: Listed
) -> None:
    name = listed[PHOTO]["id"].partition(".")[0]
    assert client.get(f"/v1/renditions/{name}").json()["key"] == PHOTO
    assert "immutable" not in client.get(f"/v1/renditions/{name}/lr").headers["cache-control"]
    assert client.get(f"/v1/renditions/{name}.{'0' * 16}").status_code == 404


def test_a_damaged_rendition_is_a_502_that_says_why_and_is_counted(
    every_rescaler: EveryRescaler, tmp_path: Path
) -> None:
    shutil.copytree(every_rescaler.url, tmp_path / "archive")
    archive = Archive(str(tmp_path / "archive"))
    app = create_app(
        {"archive": str(tmp_path / "archive")}, ServeSettings(), Keys((), anonymous=True)
    )
    client = client_of(app)
    rows = client.get("/v1/renditions?limit=100").json()["renditions"]
    links = {one["key"]: one["links"] for one in rows}
    path = tmp_path / "archive" / (archive.row(PHOTO).lr_key or "")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    (tmp_path / "archive" / (archive.row(LOGO).lr_key or "")).unlink()
    for key, reason in [(PHOTO, "not what was measured"), (LOGO, "missing")]:
        for url in (links[key]["hr"], links[key]["lr"], f"{links[key]['iiif']}/info.json"):
            answer = client.get(url)
            error = answer.json()["error"]
            assert answer.status_code == error["status"] == 502, (key, url)
            assert reason in error["message"]
            assert str(tmp_path) not in answer.text
    counted = client.get("/metrics").text
    assert 'refold_damaged_renditions_total{reason="mismatch"} 3.0' in counted
    assert 'refold_damaged_renditions_total{reason="missing"} 3.0' in counted
