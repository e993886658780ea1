"""A fitted filter at work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from rescaling_core.fitted.record import COEFFICIENT
from rescaling_core.fitted.seen import PAIRS, UNIT, classes, difference, strips_of, surroundings

if TYPE_CHECKING:
    from rescaling_core.fitted.record import FittedFilter
    from rescaling_core.pixels.arrays import U8Array

I32Array = npt.NDArray[np.int32]

LEVEL: Final = UNIT * COEFFICIENT
"""Corrections are counted in parts of a level: so many are one."""


def filtered(pixels: U8Array, chosen: FittedFilter) -> U8Array:
    """Filter the luma of a picture.

    Args:
        pixels: (H, W, C), C = 3, or 1 for grey.
        chosen: The filter.

    Returns:
        The same shape. A pixel depends on those within `REACH` of it, so that a part of a picture
        with so much around it gives the same levels.
    """
    result = np.empty_like(pixels)
    for rows in strips_of(*pixels.shape[:2]):
        change = correction(surroundings(pixels, rows), chosen)
        result[rows] = _corrected(pixels[rows], change)
    return result


def correction(around: npt.NDArray[np.int16], chosen: FittedFilter) -> I32Array:
    """What is added to luma, in parts of `LEVEL`, of pixels that have `REACH` around them."""
    table = chosen.table()
    which = classes(around)
    total = np.zeros(which.shape, np.int32)
    for pair, factors in zip(PAIRS, table.T, strict=False):
        if factors.any():
            total += factors[which] * difference(around, pair)
    return total


def _corrected(pixels: U8Array, change: I32Array) -> U8Array:
    whole = (change + LEVEL // 2) >> (LEVEL.bit_length() - 1)
    return np.asarray((pixels.astype(np.int32) + whole[..., None]).clip(0, 255), np.uint8)
