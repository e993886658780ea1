"""The inspector, as a browser shows it and as HTML."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
from tests.servers.chromium import Chromium
from tests.service.conftest import client_of, listening
from tests.service.test_renditions import Listed, picture

WIDE = "restored/wide.png"


def test_the_gallery_shows_every_rendition_page_by_page(client: TestClient, listed: Listed) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert len(re.findall(r'class="card"', answer.text)) == len(listed)
    for url in re.findall(r'<img src="([^"]+)"', answer.text):
        shown = client.get(url.replace("&amp;", "&"))
        assert shown.status_code == 200, url
        assert shown.headers["content-type"].startswith("image/")
    assert 'alt="16 tiny-dlv-irn-x2/photo.png"' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_search_in_the_gallery_keeps_what_was_asked(client: TestClient) -> None:
    answer = client.get("/pages/archive", params={"glob": '*"><script>*', "prefix": "<b>"})
    assert answer.status_code == 200
    assert "<script>*" not in answer.text
    assert "<b>" not in answer.text.replace("<b>{", "")
    assert "Nothing here answers that" in answer.text
    found = client.get("/pages/archive?psnr_min=99").text
    assert len(re.findall(r'class="card"', found)) == 1
    for query in ("psnr_min=x", "psnr_min=-1", "cursor=x", "state=gone"):
        assert 400 <= client.get(f"/pages/archive?{query}").status_code < 500, query
    assert client.get("/pages/other").status_code == 404


def test_an_image_page_says_all_that_is_known(client: TestClient, listed: Listed) -> None:
    for key, one in listed.items():
        page = client.get(f"/images/{one['id'].partition('.')[0]}")
        assert page.status_code == 200, key
        assert one["lr_sha256"] is not None
        assert f"x{one['scale']:g}" in page.text
        if one["restorable"]:
            assert 'id="stage"' in page.text
        else:
            assert "Nothing can be restored" in page.text
    assert "phone/ü % &amp; &lt;1&gt;.jpg" in page.text or "wide.png" in page.text


def test_the_archive_page_adds_up(client: TestClient, listed: Listed) -> None:
    text = client.get("/pages/archive/about").text
    assert f"{len(listed)} renditions take" in text
    assert "run-1" not in text  # runs are told by what they did
    assert "/iiif/presentation/3/archive/collection.json" in text
    assert re.search(r"<td>exact</td><td class=\"number\">\d+</td>", text)


def test_the_source_is_shown_only_where_the_operator_lets_it(
    every_rescaler: EveryRescaler, client: TestClient, listed: Listed
) -> None:
    name = listed[WIDE]["id"].partition(".")[0]
    url = f"/images/{name}/source/0,0,40,30/40,30"
    assert client.get(url).status_code == 404
    assert '"source"' not in client.get(f"/images/{name}").text
    open_app = create_app(
        {"archive": every_rescaler.url}, ServeSettings(sources=True), Keys((), anonymous=True)
    )
    allowed = client_of(open_app)
    with Image.open(f"{every_rescaler.sources_url}/{WIDE}") as source:
        expected = np.asarray(source)[:30, :40]
    assert np.array_equal(picture(allowed.get(url).content), expected)
    assert '"source"' in allowed.get(f"/images/{name}").text


def test_the_lr_image_is_enlarged_by_a_filter_alone(client: TestClient, listed: Listed) -> None:
    name = listed["21 bicubic/photo.png"]["id"].partition(".")[0]
    enlarged = picture(client.get(f"/images/{name}/lr/full/max").content)
    restored = picture(client.get(listed["21 bicubic/photo.png"]["links"]["hr"]).content)
    assert enlarged.shape == restored.shape
    apart = np.abs(enlarged.astype(int) - restored)[4:-4, 4:-4]  # edges are mirrored, or not
    assert apart.max() <= 3  # the rescaler is bicubic too


@pytest.fixture(scope="module")
def url(every_rescaler: EveryRescaler) -> Iterator[str]:
    app = create_app(
        {"archive": every_rescaler.url}, ServeSettings(sources=True), Keys((), anonymous=True)
    )
    with listening(app) as url:
        yield url


def shown_pixels(tab: Any) -> np.ndarray:
    """The canvas of the image page, (h, w, 4)."""
    text = tab.value("document.getElementById('canvas').toDataURL('image/png')")
    import base64

    with Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))) as image:
        return np.asarray(image)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 380])
def test_a_browser_goes_from_the_gallery_to_restored_pixels(
    url: str, width: int, chromium: Chromium, every_rescaler: EveryRescaler, tmp_path: Path
) -> None:
    ready = "document.getElementById('stage').dataset.state === 'ready'"
    with chromium.tab(width) as tab:
        tab.open(f"{url}/pages/archive?prefix=restored")
        tab.wait("[...document.images].every(image => image.complete && image.naturalWidth)")
        assert tab.look["overflow"] <= 0
        assert tab.look["unnamed"] == 0
        tab.picture(tmp_path / f"gallery-{width}.png")
        tab.press("ArrowRight")
        assert tab.value("document.activeElement.className") == "card"
        assert tab.errors == []
        tab.open(url + tab.value("document.activeElement.getAttribute('href')"))
        tab.wait(ready)
        assert tab.look["overflow"] <= 0
        assert {one.partition("/images/")[0] for one in tab.requests if "/images/" in one} == {url}
        assert all(one.startswith(url) for one in tab.requests)
        # At 1:1, without the swipe, what is seen is what `refold restore` gives.
        tab.value("document.getElementById('swipe').value = 0")
        tab.value("document.getElementById('swipe').dispatchEvent(new Event('input'))")
        tab.value("document.getElementById('full').click()")
        tab.wait(ready)
        tab.value("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
        restored = np.asarray(as_image(Archive(every_rescaler.url).restore(WIDE)))
        seen = shown_pixels(tab)
        assert fits_somewhere(seen[..., :3], restored)
        # The swipe shows another picture, and the map of differences a third.
        tab.value("document.getElementById('swipe').value = 100")
        tab.value("document.getElementById('swipe').dispatchEvent(new Event('input'))")
        tab.wait(ready)
        tab.value("new Promise(done => setTimeout(done, 200))")
        tab.wait(ready)
        beside = shown_pixels(tab)
        assert not np.array_equal(seen, beside)
        tab.value("document.getElementById('heat').click()")
        tab.value("new Promise(done => setTimeout(done, 200))")
        assert not np.array_equal(shown_pixels(tab), beside)
        assert tab.value("document.getElementById('heat').getAttribute('aria-pressed')") == "true"
        cells = "[...document.querySelectorAll('#bins td:nth-child(2)')]"
        shares = tab.value(f"{cells}.map(cell => parseFloat(cell.innerText))")
        assert len(shares) == 7
        assert abs(sum(shares) - 100) < 0.5
        assert shares[0] < 100
        tab.picture(tmp_path / f"image-{width}.png")
        # Side by side, both are seen, and move together.
        tab.value("document.getElementById('heat').click()")
        tab.value("document.getElementById('pair').click()")
        tab.value("document.getElementById('full').click()")
        tab.value("new Promise(done => setTimeout(done, 200))")
        tab.wait(ready)
        tab.value("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
        both = shown_pixels(tab)
        half = both.shape[1] // 2
        assert fits_somewhere(both[:, half + 2 :, :3], restored)
        assert not np.array_equal(both[:, 2 : half - 2], both[:, half + 2 : 2 * half - 2])
        tab.value("document.getElementById('pair').click()")
        tab.value("document.getElementById('full').click()")
        # The keyboard zooms.
        tab.value("document.getElementById('stage').focus()")
        tab.press("+")
        tab.wait("document.getElementById('said').textContent.startsWith('150')")
        got = tab.value(
            "fetch(document.getElementById('download').href).then(a => a.arrayBuffer())"
            ".then(b => btoa(String.fromCharCode(...new Uint8Array(b.slice(0, 8)))))"
        )
        assert got.startswith("iVBORw0K")  # a PNG
        assert tab.errors == []
        tab.open(f"{url}/pages/archive/about")
        assert tab.look["overflow"] <= 0
        assert tab.errors == []


def fits_somewhere(seen: np.ndarray, restored: np.ndarray) -> bool:
    """Whether a part of the restored image, larger than a few pixels, is seen as it is."""
    height, width = seen.shape[:2]
    rows, columns = restored.shape[:2]
    part = restored[rows // 2 - 20 : rows // 2 + 20, columns // 2 - 20 : columns // 2 + 20]
    for y in range(max(1, height - 40)):
        for x in range(max(1, width - 40)):
            if (seen[y, x] == part[0, 0]).all() and np.array_equal(
                seen[y : y + 40, x : x + 40], part
            ):
                return True
    return False
