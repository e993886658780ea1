"""What one picture misses of another, as a picture that any codec can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from rescaling_core.pixels.strips import strips

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.pixels.arrays import U8Array

I16Array = npt.NDArray[np.int16]

_LUMA: Final = np.array([19_595, 38_470, 7_471], np.int32)
"""BT.601's weights, in parts of 65,536."""

ZERO: Final = 128
"""The level that stands for no difference."""


def difference(hr: U8Array, restored: U8Array, *, luma: bool = False) -> U8Array:
    """The residual as a picture.

    Args:
        hr: (H, W, C), what should have been restored.
        restored: The same shape.
        luma: Keep what is missing of luma alone, in one plane.

    Returns:
        (H, W, C), or (H, W, 1) of luma: 128 where nothing is missing.
    """
    if not luma or hr.shape[2] == 1:
        return _strip_by_strip(lambda a, b: a - b + ZERO, hr, restored)
    missing = np.empty((*hr.shape[:2], 1), np.uint8)
    for strip in strips(hr.shape):
        wide = hr[strip].astype(np.int32) - restored[strip].astype(np.int32)
        levels = (wide @ _LUMA + (1 << 15)) >> 16
        missing[strip] = (levels + ZERO).clip(0, 255)[..., None]
    return missing


def add(restored: U8Array, residual: U8Array) -> U8Array:
    """Add a residual to a restoration, clipped to 0-255; one of luma to all three channels."""
    if residual.shape[2] == 1 and restored.shape[2] == 3:
        residual = np.broadcast_to(residual, restored.shape)
    return _strip_by_strip(lambda a, b: a + b - ZERO, restored, residual)


def _strip_by_strip(
    compute: Callable[[I16Array, I16Array], I16Array], a: U8Array, b: U8Array
) -> U8Array:
    """Compute in 16 bits and clip, without 16-bit copies of whole images."""
    if a.shape != b.shape:
        raise ValueError(f"shapes differ: {a.shape} and {b.shape}")
    result = np.empty(a.shape, np.uint8)
    for strip in strips(a.shape):
        wide = compute(a[strip].astype(np.int16), b[strip].astype(np.int16))
        result[strip] = wide.clip(0, 255)
    return result
