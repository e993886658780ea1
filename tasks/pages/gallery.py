"""A page that shows HR, LR and restored images side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tasks.pages.environment import page_environment
from tasks.pages.words import size_text


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryRow:
    """One source and one target. Paths are relative to the page."""

    key: str
    target: str
    state: str
    reason: str
    width: int
    height: int
    source_bytes: int
    lr_bytes: int | None
    psnr_y: float | None
    """PSNR-Y in dB."""
    ssim_y: float | None
    rescaler: str
    seconds: float | None
    source_path: str
    lr_path: str | None
    restored_path: str | None


def render_gallery(title: str, rows: Sequence[GalleryRow]) -> str:
    """Return the page as HTML that needs nothing but the images it names."""
    environment = page_environment()
    environment.filters["size"] = size_text
    environment.filters["href"] = quote
    archived = [row for row in rows if row.state == "archived"]
    totals = {
        "archived": len(archived),
        "kept": len(rows) - len(archived),
        "source_bytes": sum(row.source_bytes for row in archived),
        "lr_bytes": sum(row.lr_bytes or 0 for row in archived),
    }
    return environment.get_template("gallery.html").render(title=title, rows=rows, totals=totals)
