"""What the filter sees of a picture: luma, neighbours, and what kind of place each pixel is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rescaling_core.pixels.arrays import U8Array

I16Array = npt.NDArray[np.int16]
U16Array = npt.NDArray[np.uint16]

UNIT: Final = 16
"""Luma is counted in sixteenths of a level."""

PAIRS: Final = (
    *((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)),
    *((1, 2), (1, -2), (2, 1), (2, -1), (0, 3), (3, 0)),
)
"""One of each two opposite neighbours, (rows, columns): within two steps, then the third."""

REACH: Final = 3
"""Pixels around a pixel on which its filtered value depends."""

BOUNDS: Final = (100, 200, 400, 800, 1600)
"""Where one kind of activity ends and the next begins. Activity is how much luma bends across and
down, in quarters of a level, summed over 5 x 5 pixels: 100 are one level a pixel."""

DIRECTIONS: Final = 5
"""None, across, down, falling, rising: along which luma bends most."""

CLASSES: Final = DIRECTIONS * (len(BOUNDS) + 1)

_STRIP: Final = 2**17
"""Pixels that are worked on at a time, about."""

_BLUE, _GREEN, _RED = 7_471, 38_470, 19_595
"""BT.601's weights, in parts of 65,536."""


def luma(pixels: U8Array) -> I16Array:
    """(H, W, C) to (H, W), in sixteenths of a level."""
    if pixels.shape[2] == 1:
        return pixels[..., 0].astype(np.int16) * np.int16(UNIT)
    red, green, blue = (pixels[..., at].astype(np.int32) for at in range(3))
    total = red * _RED
    total += green * _GREEN
    total += blue * _BLUE
    total += 1 << 11
    total >>= 12
    return total.astype(np.int16)


def strips_of(height: int, width: int) -> Iterator[slice]:
    """Rows that are worked on together."""
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def surroundings(pixels: U8Array, rows: slice) -> I16Array:
    """Luma of some rows and `REACH` pixels around; beyond the picture its edge is repeated."""
    top, bottom = max(0, rows.start - REACH), min(pixels.shape[0], rows.stop + REACH)
    missing = (top - rows.start + REACH, rows.stop + REACH - bottom)
    return np.pad(luma(pixels[top:bottom]), (missing, (REACH, REACH)), mode="edge")


def difference(around: I16Array, pair: tuple[int, int]) -> I16Array:
    """Two opposite neighbours of every pixel, less twice the pixel itself."""
    height, width = around.shape[0] - 2 * REACH, around.shape[1] - 2 * REACH

    def moved(y: int, x: int) -> I16Array:
        return around[REACH + y : REACH + y + height, REACH + x : REACH + x + width]

    y, x = pair
    found = moved(y, x) + moved(-y, -x)
    found -= 2 * moved(0, 0)
    return found


def classes(around: I16Array) -> npt.NDArray[np.uint8]:
    """What kind of place each pixel is: 0 to `CLASSES` - 1."""
    quarters = around >> 2
    across, down, falling, rising = (
        _summed(_bend(quarters, pair)) for pair in ((0, 1), (1, 0), (1, 1), (1, -1))
    )
    activity = across.astype(np.uint32) + down
    level = np.zeros(activity.shape, np.uint8)
    for bound in BOUNDS:
        level += activity >= bound
    most, least = np.maximum(across, down), np.minimum(across, down)
    most_slanted, least_slanted = np.maximum(falling, rising), np.minimum(falling, rising)
    is_slanted = _product(most_slanted, least) > _product(most, least_slanted)
    which = np.where(
        is_slanted, np.where(falling > rising, 3, 4), np.where(across > down, 1, 2)
    ).astype(np.uint8)
    clear = np.where(is_slanted, _is_clear(most_slanted, least_slanted), _is_clear(most, least))
    return np.asarray(level * np.uint8(DIRECTIONS) + which * clear, np.uint8)


def _is_clear(most: U16Array, least: U16Array) -> npt.NDArray[np.bool_]:
    return np.asarray(2 * most.astype(np.uint32) > 3 * (least.astype(np.uint32) + 1))


def _product(one: U16Array, other: U16Array) -> npt.NDArray[np.uint32]:
    return np.asarray(one.astype(np.uint32) * (other.astype(np.uint32) + 1))


def _bend(luma: I16Array, pair: tuple[int, int]) -> U16Array:
    """How far luma is from a straight line, in a direction; one pixel less on each side."""
    height, width = luma.shape[0] - 2, luma.shape[1] - 2
    y, x = pair
    found = 2 * luma[1 : 1 + height, 1 : 1 + width]
    found -= luma[1 + y : 1 + y + height, 1 + x : 1 + x + width]
    found -= luma[1 - y : 1 - y + height, 1 - x : 1 - x + width]
    return np.abs(found, out=found).view(np.uint16)


def _summed(plane: U16Array) -> U16Array:
    """Over 5 x 5 pixels; two pixels less on each side."""
    for _ in range(2):
        rows = plane.shape[0] - 4
        total = plane[:rows] + plane[1 : rows + 1]
        for at in range(2, 5):
            total += plane[at : rows + at]
        plane = total.T
    return plane
