"""The inspector, as HTML."""

from __future__ import annotations

import re

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from flows.service.access import Keys
from flows.service.app import create_app
from flows.service.settings import ServeSettings
from tests.every_rescaler import EveryRescaler
from tests.service.conftest import client_of
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
