"""The page of sources, small files and restorations."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from tasks.pages.gallery import Kept, Shown, render_gallery
from tasks.pages.words import size_text


def _shown(key: str) -> Shown:
    return Shown(
        key=key,
        width=10,
        height=8,
        source_bytes=2000,
        small_bytes=500,
        small_size=(5, 4),
        psnr_y=34.123,
        how="lanczos, avif",
        avif_bytes=490,
        fewest_bytes=480,
        source_path=f"photos/{key}",
        small_path=f"archive/renditions/x2/{key}/0.avif",
        restored_path=f"restored/{key}",
        difference_path=f"difference/{key}.png",
    )


KEPT = Kept(key="a.png", reason="not smaller: <b>than</b> the source", source_bytes=10)


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
    page.feed(render_gallery("title", [_shown(key)], floor=34))
    assert [unquote(source) for source in page.sources] == [
        f"photos/{key}",
        f"restored/{key}",
        f"difference/{key}.png",
        f"archive/renditions/x2/{key}/0.avif",
    ]
    assert not any(sign in source for source in page.sources for sign in '#?"< ')
    assert "i" not in page.tags


def test_a_kept_source_shows_its_reason_and_no_images() -> None:
    html = render_gallery("title", [KEPT], floor=34)
    page = _Images()
    page.feed(html)
    assert page.sources == []
    assert "not smaller: &lt;b&gt;than" in html


def test_totals_count_what_is_shown() -> None:
    html = render_gallery("title", [_shown("a.png"), _shown("b.png"), KEPT], floor=34)
    text = " ".join(html.split())
    assert "2 photographs, 4.0 kB, are kept as small pictures of 1.0 kB in all" in text
    assert "with at least 34 dB" in text
    assert "1 stay as they are" in text


@pytest.mark.parametrize(
    ("nbytes", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (5_200_000, "5.2 MB")]
)
def test_sizes_are_as_people_read_them(nbytes: int, text: str) -> None:
    assert size_text(nbytes) == text
