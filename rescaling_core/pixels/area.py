"""Rectangles of an image, and how they lie once the image is turned upright."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U8Array


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The column behind the last one."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The row behind the last one."""
        return self.top + self.height

    @property
    def rows(self) -> slice:
        """Its rows within the image."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """Its columns within the image."""
        return slice(self.left, self.right)

    def shared(self, rows: slice, columns: slice) -> Area | None:
        """What it shares with some rows and columns of the image; None if nothing."""
        left, top = max(self.left, columns.start), max(self.top, rows.start)
        right, bottom = min(self.right, columns.stop), min(self.bottom, rows.stop)
        if left >= right or top >= bottom:
            return None
        return Area(left, top, right - left, bottom - top)

    def check_within(self, width: int, height: int) -> None:
        """Refuse an area that does not lie within an image.

        Raises:
            UsageError: It is empty, or reaches beyond an edge.
        """
        inside = self.left >= 0 <= self.top and self.right <= width and self.bottom <= height
        if not inside or self.width < 1 or self.height < 1:
            raise UsageError(
                f"region {self.left},{self.top},{self.width},{self.height}: give left, top, width "
                f"and height of a rectangle within the {width} x {height} pixels of the image"
            )


_TURNS: Final = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
"""EXIF orientation → what makes the stored image upright: mirror its columns (second), mirror its
rows (third), then swap rows and columns (first)."""


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height of an image once it is upright."""
    return (height, width) if _TURNS[orientation][0] else (width, height)


def upright(pixels: U8Array, orientation: int) -> U8Array:
    """Turn a stored image as its EXIF orientation says.

    Args:
        pixels: (H, W) or (H, W, C).
        orientation: 1 to 8.
    """
    swapped, columns, rows = _TURNS[orientation]
    turned = pixels[:: -1 if rows else 1, :: -1 if columns else 1]
    return np.ascontiguousarray(turned.swapaxes(0, 1) if swapped else turned)


def as_stored(area: Area, width: int, height: int, orientation: int) -> Area:
    """Where an area of the upright image lies in the stored one.

    Args:
        area: Of the upright image.
        width: Of the stored image.
        height: Of the stored image.
        orientation: 1 to 8.
    """
    swapped, columns, rows = _TURNS[orientation]
    left, top, wide, high = area.left, area.top, area.width, area.height
    if swapped:
        left, top, wide, high = top, left, high, wide
    if columns:
        left = width - left - wide
    if rows:
        top = height - top - high
    return Area(left, top, wide, high)
