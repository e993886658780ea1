"""The page of HR, LR and restored images."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from tasks.pages.gallery import GalleryRow, render_gallery
from tasks.pages.words import size_text


def _row(key: str, *, archived: bool = True) -> GalleryRow:
    return GalleryRow(
        key=key,
        target="x2",
        state="archived" if archived else "kept",
        reason="" if archived else "not smaller: <b>than</b> the source",
        width=10,
        height=8,
        source_bytes=2000,
        lr_bytes=500 if archived else None,
        psnr_y=40.123,
        ssim_y=0.99,
        rescaler="irn-x2-lite",
        seconds=0.1,
        source_path=f"photos/{key}",
        lr_path=f"archive/renditions/x2/{key}/0.png" if archived else None,
        restored_path=f"restored/x2/{key}" if archived else None,
    )


class _Images(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "img":
            self.sources.append(dict(attrs)["src"] or "")


@pytest.mark.parametrize("key", ["plain.png", 'a b#c?d%20"<i>.png', "日本/ü.jpg"])
def test_any_key_is_linked_and_shown_as_it_is(key: str) -> None:
    page = _Images()
    page.feed(render_gallery("title", [_row(key)]))
    assert [unquote(source) for source in page.sources] == [
        f"photos/{key}",
        f"archive/renditions/x2/{key}/0.png",
        f"restored/x2/{key}",
    ]
    assert not any(sign in source for source in page.sources for sign in '#?"< ')
    assert "i" not in page.tags


def test_a_kept_source_shows_its_reason_and_no_images() -> None:
    html = render_gallery("title", [_row("a.png", archived=False)])
    page = _Images()
    page.feed(html)
    assert page.sources == []
    assert "not smaller: &lt;b&gt;than" in html


def test_totals_count_what_is_archived() -> None:
    html = render_gallery("title", [_row("a.png"), _row("b.png"), _row("c.png", archived=False)])
    assert "2 renditions archived: 4.0 kB of sources" in " ".join(html.split())
    assert "1 kept" in html


@pytest.mark.parametrize(
    ("nbytes", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (5_200_000, "5.2 MB")]
)
def test_sizes_are_as_people_read_them(nbytes: int, text: str) -> None:
    assert size_text(nbytes) == text
