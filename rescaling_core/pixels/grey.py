"""Grey pictures through colour, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U8Array


def as_colour(pixels: U8Array) -> U8Array:
    """(H, W, 1) → (H, W, 3), R = G = B; three channels stay as they are."""
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def as_grey(pixels: U8Array) -> U8Array:
    """(H, W, 3) → (H, W, 1): the mean of the channels, rounded to the nearest level."""
    if pixels.shape[2] == 1:
        return pixels
    total: npt.NDArray[np.uint16] = pixels.sum(axis=2, dtype=np.uint16, keepdims=True)
    return ((total + 1) // 3).astype(np.uint8)
