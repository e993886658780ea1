"""The usual measures, over pictures of 16 bits a sample."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rescaling_core.pixels.strips import strips
from rescaling_core.quality.comparison import Comparison
from rescaling_core.quality.metrics import FloatArray, luma, psnr_of, ssim_of
from rescaling_core.repack import deep_file

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U16Array

_LEVEL: Final = 257
"""Steps of 65,535 in a level of 255."""


def measure_deep(restored: U16Array, source: U16Array) -> dict[str, Any]:
    """PSNR-Y, SSIM-Y and the largest error of a picture of 16 bits; nothing is rounded to 8.

    Args:
        restored: (H, W, C), C = 1 or 3, 0-65535.
        source: The same shape.

    Returns:
        By the names of the measures. Peak and constants are those of 8 bits, the samples divided
        by 257: dB and SSIM are what they would be at a peak of 65,535. The largest error is in
        levels of 255, rounded up, so that it is 0 only where every sample is the source's.

    Raises:
        ValueError: The shapes differ.
    """
    if restored.shape != source.shape:
        raise ValueError(f"shapes differ: {restored.shape} and {source.shape}")
    largest = max(
        int(np.abs(restored[strip].astype(np.int32) - source[strip].astype(np.int32)).max())
        for strip in strips(source.shape)
    )
    return {
        "psnr_y": psnr_of(restored, source, _luma_error),
        "ssim_y": ssim_of(restored, source, _luma),
        "max_abs_error": ceil(largest / _LEVEL),
    }


def compare_deep(restored: bytes, source: bytes) -> Comparison:
    """Measure a restored file of 16 bits a sample against its source.

    Args:
        restored: The file that came back.
        source: The source.

    Returns:
        With `lost`, where the file has other bytes beside its samples, or another alpha.

    Raises:
        PhotoError: One of them is not such a file.
    """
    back, own = deep_file(restored), deep_file(source)
    lost = [] if back.frame == own.frame else ["what is not its samples"]
    if back.samples.shape != own.samples.shape:
        return Comparison(psnr_y=0.0, ssim_y=0.0, max_abs_error=255, lost=("size",))
    if back.alpha is not None and own.alpha is not None:
        lost += [] if np.array_equal(back.alpha, own.alpha) else ["alpha"]
    return Comparison(**measure_deep(back.colours, own.colours), lost=tuple(lost))


def _luma_error(a: U16Array, b: U16Array) -> FloatArray:
    return _luma(a) - _luma(b)


def _luma(strip: U16Array) -> FloatArray:
    return luma(strip.astype(np.float64) / _LEVEL)
