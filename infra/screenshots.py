"""The pictures of the pages that README.md and docs/serve.md show: `make screenshots`.

Photographs that anybody may copy are archived and served, and headless Chromium looks at the pages.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import skimage.data

from flows.demo import copy_photographs
from flows.service.access import Keys
from flows.service.app import create_app
from flows.service.settings import ServeSettings
from tests.servers.chromium import Chromium, Tab, find_chromium
from tests.service.conftest import listening
from tests.small_archive import SmallArchive

IMAGES: Final = Path(__file__).parents[1] / "docs" / "images"

SAMPLES: Final = Path(skimage.data.__file__).parent
FREE: Final = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "grass.png",
    "gravel.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg",
)  # fmt: skip
"""Samples of scikit-image that are CC0 or in the public domain, by `skimage/data/_fetchers.py`."""

SEEN: Final = (
    "[...document.images].every(image => image.complete && image.naturalWidth"
    " || image.getBoundingClientRect().top > innerHeight)"
)
"""Pictures further down are fetched when they are scrolled to."""
CHOOSE: Final = """{
    const bytes = Uint8Array.from(atob("PHOTO"), one => one.charCodeAt(0));
    const moved = new DataTransfer();
    moved.items.add(new File([bytes], "astronaut.png"));
    document.getElementById("photo").files = moved.files;
}"""
READY: Final = "document.getElementById('stage')?.dataset.state === 'ready'"


def main() -> None:
    """Take the pictures into docs/images, or into the folder that is named."""
    into = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    with TemporaryDirectory() as folder:
        made = SmallArchive(f"{folder}/photos", f"{folder}/photographs")
        for path in copy_photographs(Path(folder, "photos")):
            if path.name not in FREE:
                path.unlink()
        made.run("x2", "x4", max_pixels=4_000_000)
        app = create_app(
            {"photographs": made.archive_url}, ServeSettings(sources=True), Keys((), anonymous=True)
        )
        with listening(app) as url:
            take(find_chromium(), url, into)


def take(chromium: Chromium, url: str, into: Path) -> None:
    """Take all pictures of a service."""
    with chromium.tab(1200, 750) as tab:
        gallery(tab, url)
        tab.picture(into / "serve-gallery.webp", whole=False)
    with chromium.tab(1200, 840) as tab:
        image(tab, url)
        tab.picture(into / "serve-image.webp", whole=False)
    with chromium.tab(1200, 1260, dark=True) as tab:
        trial(tab, url)
        tab.picture(into / "serve-try.webp", whole=False)


def gallery(tab: Tab, url: str) -> None:
    """Open the gallery, and wait until it is all there."""
    tab.open(url)
    tab.wait(SEEN)


def image(tab: Tab, url: str) -> None:
    """Open an image with the swipe in its middle, near enough to see what differs."""
    tab.open(f"{url}/pages/photographs?prefix=astronaut&target=x4")
    tab.open(url + tab.value("document.querySelector('a.card').getAttribute('href')"))
    tab.wait(READY)
    near(tab)


def trial(tab: Tab, url: str) -> None:
    """Try a photo, and look at what was made of it."""
    photo = base64.b64encode((SAMPLES / "astronaut.png").read_bytes()).decode()
    tab.open(f"{url}/try")
    tab.value(CHOOSE.replace("PHOTO", photo))
    tab.value("document.getElementById('go').click()")
    tab.wait("document.querySelector('h1')?.textContent === 'astronaut.png'", seconds=120)
    tab.wait(READY)
    near(tab)


def near(tab: Tab) -> None:
    """Zoom to the face, and wait until it is there."""
    tab.value("for (let i = 0; i < 2; i++) document.getElementById('in').click()")
    tab.value("document.getElementById('stage').focus()")
    for key, times in (("ArrowUp", 6), ("ArrowLeft", 1)):
        for _ in range(times):
            tab.press(key)
    tab.value("document.activeElement.blur()")
    tab.value("new Promise(done => setTimeout(done, 300))")
    tab.wait(READY)
    tab.value("new Promise(done => setTimeout(done, 300))")


if __name__ == "__main__":
    main()
