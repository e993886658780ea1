"""A page that shows sources, the small files kept of them, and what is restored from these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tasks.pages.environment import page_environment
from tasks.pages.words import size_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A source of which nothing smaller reaches the floor."""

    key: str
    reason: str
    source_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A source and the file that is kept of it. Paths are relative to the page."""

    key: str
    width: int
    height: int
    source_bytes: int
    small_bytes: int
    """Of the small file, with all that is restored from it."""
    small_size: tuple[int, int]
    """Width and height of the picture that it is by itself."""
    psnr_y: float
    """PSNR-Y of the restoration in dB."""
    how: str
    """Rescaler and codec, in words."""
    avif_bytes: int | None
    """Of plain AVIF at full size that reaches the same floor; None where none does."""
    fewest_bytes: int | None
    """Of the smallest file there is at that floor, which is no small picture; None likewise."""
    source_path: str
    small_path: str
    restored_path: str
    difference_path: str
    """Eight times the difference of source and restoration."""


def render_gallery(title: str, rows: Sequence[Shown | Kept], *, floor: float) -> str:
    """Return the page as HTML that needs nothing but the images it names.

    Args:
        title: Its heading.
        rows: In the order they are shown.
        floor: PSNR-Y in dB that every restoration reaches.
    """
    environment = page_environment()
    environment.filters["size"] = size_text
    environment.filters["href"] = quote
    shown = [row for row in rows if isinstance(row, Shown)]
    totals = {
        "shown": len(shown),
        "kept": len(rows) - len(shown),
        "source_bytes": sum(row.source_bytes for row in shown),
        "small_bytes": sum(row.small_bytes for row in shown),
    }
    template = environment.get_template("gallery.html")
    return template.render(title=title, rows=rows, totals=totals, floor=floor, Shown=Shown)
