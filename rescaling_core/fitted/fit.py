"""Fitting a filter to a picture and its source."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.fitted.merge import worth_having
from rescaling_core.fitted.seen import (
    CLASSES,
    PAIRS,
    REACH,
    classes,
    difference,
    luma,
    strips_of,
    surroundings,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from rescaling_core.fitted.record import FittedFilter
    from rescaling_core.pixels.arrays import U8Array

_LOOKED_AT: Final = 2**22
"""Pixels that a filter is fitted to, about: of a larger picture every second strip, or fewer."""


def fit(pixels: U8Array, source: U8Array, nbytes: int) -> FittedFilter | None:
    """Find the filter that brings the luma of a picture nearest to its source's.

    Args:
        pixels: (H, W, C), C = 3, or 1 for grey.
        source: The same shape.
        nbytes: Of the file that the picture comes from. A filter is worth a share of it.

    Returns:
        None if no filter is expected to save more bytes than it takes.
    """
    size = len(PAIRS) + 1
    sums = np.zeros((CLASSES, size, size))
    counts = np.zeros(CLASSES, np.int64)
    height, width = pixels.shape[:2]
    every = ceil(height * width / _LOOKED_AT)
    for rows in list(strips_of(height, width))[::every]:
        _add(sums, counts, surroundings(pixels, rows), luma(source[rows]))
    return worth_having(sums, counts, nbytes)


def _add(
    sums: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
    around: npt.NDArray[np.int16],
    wanted: npt.NDArray[np.int16],
) -> None:
    """Add the products of some rows: whole numbers below 2^53, and so exact in any order."""
    which = classes(around).ravel()
    order = np.argsort(which, kind="stable")
    missing = wanted - around[REACH:-REACH, REACH:-REACH]
    planes = np.empty((len(PAIRS) + 1, which.size))
    for at, pair in enumerate(PAIRS):
        planes[at] = difference(around, pair).ravel()[order]
    planes[-1] = missing.ravel()[order]
    found = np.bincount(which, minlength=CLASSES)
    ends = np.cumsum(found)
    for number in np.flatnonzero(found):
        part = planes[:, ends[number] - found[number] : ends[number]]
        sums[number] += part @ part.T
    counts += found
