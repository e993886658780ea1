"""What people meet in a browser: pages that all can use, a photo tried, a viewer of IIIF."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flows.service.access import Keys
from flows.service.app import create_app
from flows.service.settings import ServeSettings
from rescaling_core.photo.encode import as_image
from tasks.renditions.archive import Archive
from tests.every_rescaler import EveryRescaler
from tests.servers.chromium import Chromium, Tab
from tests.servers.npm import AXE, MIRADOR, OPENSEADRAGON
from tests.service.conftest import listening
from tests.unit.photo_samples import rgb, written

pytestmark = pytest.mark.slow

WIDE = "restored/wide.png"
READY = "document.getElementById('stage').dataset.state === 'ready'"

CHOOSE = """{
    const bytes = Uint8Array.from(atob("PHOTO"), one => one.charCodeAt(0));
    const moved = new DataTransfer();
    moved.items.add(new File([bytes], "pier.png"));
    document.getElementById("photo").files = moved.files;
}"""


@pytest.fixture(scope="module")
def url(every_rescaler: EveryRescaler) -> Iterator[str]:
    app = create_app(
        {"archive": every_rescaler.url}, ServeSettings(sources=True), Keys((), anonymous=True)
    )
    with listening(app) as url:
        yield url


def faults(tab: Tab) -> list[str]:
    """What axe-core finds on a page that keeps people from using it."""
    tab.value(AXE.fetched().read_text(encoding="utf-8") + "; 0")
    found = tab.value("axe.run().then(seen => JSON.stringify(seen.violations))")
    return [
        f"{one['id']}: {node['html']} {node['failureSummary']}"
        for one in json.loads(found)
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (380, True)])
def test_pages_can_be_used_by_all_and_a_photo_tried(
    url: str, width: int, dark: bool, chromium: Chromium
) -> None:
    with chromium.tab(width, dark=dark) as tab:
        for page in ("/pages/archive", "/pages/archive?prefix=zz", "/pages/archive/about"):
            tab.open(url + page)
            assert (page, faults(tab)) == (page, [])
            assert tab.look["overflow"] <= 0, page
        tab.open(f"{url}/pages/archive?prefix=restored")
        tab.open(url + tab.value("document.querySelector('a.card').getAttribute('href')"))
        tab.wait(READY)
        assert faults(tab) == []
        tab.open(f"{url}/try")
        assert faults(tab) == []
        assert tab.look["overflow"] <= 0
        # What is wrong is said beside the form, which keeps what was entered.
        photo = base64.b64encode(written(Image.fromarray(rgb(120, 90)), "PNG")).decode()
        tab.value(CHOOSE.replace("PHOTO", photo))
        tab.value("document.querySelector('[name=floor]').value = 'much'")
        tab.value("document.getElementById('go').click()")
        tab.wait("document.getElementById('wrong').textContent.startsWith('floor')")
        tab.value("document.querySelector('[name=floor]').value = '30'")
        tab.value("document.getElementById('go').click()")
        tab.wait("document.querySelector('h1')?.textContent === 'pier.png'")
        tab.wait(READY)
        assert faults(tab) == []
        assert tab.look["overflow"] <= 0
        assert tab.value("document.querySelectorAll('tbody tr').length") == 4
        assert all(one.startswith(url) for one in tab.requests)


def test_openseadragon_zooms_to_the_pixels_that_restore_gives(
    url: str, chromium: Chromium, every_rescaler: EveryRescaler, tmp_path: Path
) -> None:
    page = tmp_path / "viewer.html"
    page.write_text(
        "<!doctype html><style>body { margin: 0 }</style>"
        "<div id=viewer style='width: 320px; height: 160px'></div>"
        f"<script>{OPENSEADRAGON.fetched().read_text(encoding='utf-8')}</script>"
    )
    manifest = f"{url}/iiif/presentation/3/archive/manifest.json?prefix=restored"
    with chromium.tab(700) as tab:
        tab.open(page.as_uri())
        tab.value(f"""(async () => {{
            const manifest = await (await fetch({json.dumps(manifest)})).json();
            const image = manifest.items[0].items[0].items[0].body.service[0].id;
            const info = await (await fetch(image + "/info.json")).json();
            delete info.preferredFormats;  // which are lossy
            info.tileFormat = "png";
            window.viewer = OpenSeadragon({{
                id: "viewer", tileSources: [info], drawer: "canvas", crossOriginPolicy: "Anonymous",
                showNavigationControl: false, animationTime: 0, imageSmoothingEnabled: false,
            }});
            await new Promise(done => viewer.addHandler("open", done));
            const corner = new OpenSeadragon.Rect(100, 20, 80, 40);  // fourfold
            viewer.viewport.fitBounds(viewer.viewport.imageToViewportRectangle(corner), true);
        }})()""")
        tab.wait("viewer.world.getItemAt(0).getFullyLoaded()")
        tab.value("new Promise(done => setTimeout(done, 300))")
        tab.wait("viewer.world.getItemAt(0).getFullyLoaded()")
        seen = canvas_of(tab, "viewer.drawer.canvas")
    restored = np.asarray(as_image(Archive(every_rescaler.url).restore(WIDE)))
    # In the middle of each enlarged pixel, as the viewer does not place them on whole ones.
    assert np.array_equal(seen[2::4, 2::4, :3], restored[20:60, 100:180])


def test_mirador_opens_a_manifest_by_its_url_and_shows_the_restored_image(
    url: str, chromium: Chromium, every_rescaler: EveryRescaler, tmp_path: Path
) -> None:
    page = tmp_path / "viewer.html"
    page.write_text(
        "<!doctype html><meta charset=utf-8>"
        "<div id=viewer style='position: absolute; inset: 0'></div>"
        f"<script src='{MIRADOR.fetched().absolute().as_uri()}'></script>"
    )
    manifest = f"{url}/iiif/presentation/3/archive/manifest.json?prefix=restored"
    with chromium.tab(900, 600) as tab:
        tab.open(page.as_uri())
        opened = json.dumps({"id": "viewer", "windows": [{"manifestId": manifest}]})
        tab.value(f"Mirador.viewer({opened}); 0")
        tab.wait(
            "document.querySelector('.mirador-osd-container canvas, .openseadragon-canvas canvas')"
        )
        deadline = time.monotonic() + 60
        while not any("/iiif/3/" in one and "default." in one for one in tab.requests):
            assert time.monotonic() < deadline, tab.errors
            tab.value("new Promise(done => setTimeout(done, 200))")
        tab.value("new Promise(done => setTimeout(done, 1500))")
        text = tab.value("document.body.innerText")
        tab.picture(tmp_path / "seen.png", whole=False)
    assert "wide.png" in text
    with Image.open(tmp_path / "seen.png") as image:
        seen = np.asarray(image.convert("RGB")).astype(float)
    restored = np.asarray(as_image(Archive(every_rescaler.url).restore(WIDE))).astype(float)
    middle = seen[250:350, 350:550].reshape(-1, 3)
    assert middle.std() > 10  # a picture, and not an empty canvas
    assert np.abs(middle.mean(0) - restored.reshape(-1, 3).mean(0)).max() < 60


def canvas_of(tab: Any, canvas: str) -> np.ndarray:
    """The pixels of a canvas, (h, w, 4)."""
    text = tab.value(f"{canvas}.toDataURL('image/png')")
    with Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))) as image:
        return np.asarray(image)
