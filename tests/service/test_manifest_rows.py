"""Which rendition of a source a manifest shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flows.service.routers.iiif_presentation import _rows
from tasks.catalog import CatalogRow
from tasks.catalog.paging import Page
from tests.rows import row


@dataclass
class Pages:
    """An archive of which only this page is read."""

    rows: list[CatalogRow]

    def page(self, *_: Any) -> Page:
        return Page(rows=self.rows, next=None)


def test_a_rendition_of_the_source_goes_before_one_of_a_restored_image() -> None:
    """What was measured against a restored image does not tell how far that was from the source."""
    of_source = row("a.png", "x4", psnr_y=30.0, origin="source")
    of_restored = row("a.png", "x2", psnr_y=45.0, origin="restored image")
    other = row("b.png", "x2", psnr_y=33.0)
    for rows in ([of_source, of_restored, other], [of_restored, of_source, other]):
        shown, more = _rows(Pages(rows), "", 10)  # type: ignore[arg-type]
        assert [(one.source_key, one.target) for one in shown] == [("a.png", "x4"), ("b.png", "x2")]
        assert not more
