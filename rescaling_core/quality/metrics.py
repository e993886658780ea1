"""PSNR and SSIM as the rescaling papers compute them, over 8-bit images.

The papers' protocol: both images are 8-bit first, a border as wide as the scale is cropped, luma is
kept un-rounded (rounding it costs 0.25 dB at 43 dB), and a set's figure is the mean over its images
of each image's figure. Source: IRN `codes/utils/util.py`, which SAIN and HCD share.

Images above two megapixels are measured in strips: a figure takes about 250 MB, however large the
image is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import fsum, inf, log10
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from rescaling_core.pixels.strips import strips

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U8Array

FloatArray = npt.NDArray[np.float64]
Samples = npt.NDArray[np.uint8] | FloatArray
Plane = Callable[[Any], FloatArray]
"""Turns a strip of an image into the samples that are measured."""
Difference = Callable[[Any, Any], FloatArray]
"""By how much the samples that are measured differ in a strip of two images."""

PEAK: Final = 255.0
"""The highest level of a sample."""
LUMA: Final = np.array([65.481, 128.553, 24.966]) / 255
"""Shares of R, G and B in the Y of MATLAB's `rgb2ycbcr`."""
_C1: Final = (0.01 * PEAK) ** 2
_C2: Final = (0.03 * PEAK) ** 2
_WINDOW: Final = 11
_SIGMA: Final = 1.5


def luma(pixels: Samples) -> FloatArray:
    """The Y of MATLAB's `rgb2ycbcr`, not rounded.

    Args:
        pixels: (H, W, 3) RGB; or (H, W) or (H, W, 1) grey, read as R = G = B.

    Returns:
        (H, W), 16 to 235.
    """
    rgb = np.atleast_3d(pixels).astype(np.float64)
    if rgb.shape[2] == 1:
        return np.asarray(rgb[..., 0] * LUMA.sum() + 16)
    return np.asarray(rgb @ LUMA + 16)


def psnr(restored: U8Array, reference: U8Array, *, border: int = 0) -> float:
    """PSNR over all pixels and channels.

    Args:
        restored: (H, W, 3), (H, W, 1) or (H, W), 0-255.
        reference: The same shape.
        border: Pixels cropped from each side first; the papers use the scale.

    Returns:
        dB; `inf` where the crops are identical.

    Raises:
        ValueError: The shapes differ, or nothing is left after cropping.
    """
    a, b = _cropped(restored, reference, border)
    return psnr_of(a, b, _error)


def psnr_y(restored: U8Array, reference: U8Array, *, border: int = 0) -> float:
    """PSNR on luma: the figure the papers' tables show. As `psnr` otherwise."""
    a, b = _cropped(restored, reference, border)
    return psnr_of(a, b, _luma_error)


def ssim(restored: U8Array, reference: U8Array, *, border: int = 0) -> float:
    """Mean SSIM over the channels.

    Gaussian window of 11×11 with σ = 1.5, population moments, only where the window fits wholly
    inside; in an image smaller than that, the largest odd window that fits, σ unchanged.

    Args:
        restored: (H, W, 3), (H, W, 1) or (H, W), 0-255.
        reference: The same shape.
        border: Pixels cropped from each side first.

    Returns:
        −1 to 1; 1 where the crops are identical.

    Raises:
        ValueError: The shapes differ, or nothing is left after cropping.
    """
    a, b = (np.atleast_3d(x) for x in _cropped(restored, reference, border))
    return _mean_ssim(a, b)


def ssim_y(restored: U8Array, reference: U8Array, *, border: int = 0) -> float:
    """SSIM on luma. As `ssim` otherwise."""
    a, b = _cropped(restored, reference, border)
    return ssim_of(a, b, luma)


@dataclass(frozen=True, slots=True)
class UnroundedQuality:
    """What AIDN's benchmark reports of one image."""

    psnr: float
    """PSNR in dB, over all pixels and channels."""
    psnr_y: float
    """PSNR in dB, on luma."""
    ssim: float
    ssim_y: float


def measure_unrounded(restored: FloatArray, reference: U8Array, *, border: int) -> UnroundedQuality:
    """Quality by AIDN's protocol, which does not round to 8 bits first.

    Its figures are about 0.04 dB above the others' at 43 dB. It is for comparing with them only.

    Args:
        restored: (H, W, 3) RGB, 0.0 to 1.0, clamped.
        reference: (H, W, 3), 0-255.
        border: Pixels cropped from each side first; AIDN uses the scale, rounded up.

    Source: AIDN `main/benchmark.py` @ fdf5637.
    """
    if restored.shape != reference.shape:
        raise ValueError(f"shapes differ: {restored.shape} and {reference.shape}")
    inner = np.s_[border : len(reference) - border, border : reference.shape[1] - border]
    a, b = restored[inner].astype(np.float64) * PEAK, reference[inner].astype(np.float64)
    y_a, y_b = a @ LUMA, b @ LUMA
    return UnroundedQuality(
        psnr=psnr_of(a, b, _error),
        psnr_y=psnr_of(y_a, y_b, _error),
        ssim=_mean_ssim(a, b),
        ssim_y=ssim_of(y_a + 16, y_b + 16, _samples),
    )


def max_abs_error(restored: U8Array, reference: U8Array) -> int:
    """The largest difference of any sample, in levels of 255.

    Raises:
        ValueError: The shapes differ or hold nothing.
    """
    a, b = _cropped(restored, reference, 0)
    return max(
        int(np.abs(a[strip].astype(np.int16) - b[strip].astype(np.int16)).max())
        for strip in strips(a.shape)
    )


def _cropped(restored: U8Array, reference: U8Array, border: int) -> tuple[U8Array, U8Array]:
    if restored.shape != reference.shape:
        raise ValueError(f"shapes differ: {restored.shape} and {reference.shape}")
    if restored.dtype != np.uint8 or reference.dtype != np.uint8:
        raise ValueError(f"8-bit images expected, got {restored.dtype} and {reference.dtype}")
    height, width = restored.shape[:2]
    inner = np.s_[border : height - border, border : width - border]
    if border < 0 or min(height, width) <= 2 * border:
        raise ValueError(f"nothing of {height}×{width} is left without a border of {border}")
    return restored[inner], reference[inner]


def _samples(strip: Samples) -> FloatArray:
    return np.asarray(strip, np.float64)


def psnr_of(a: Any, b: Any, difference: Difference) -> float:
    """PSNR over the differences of two pictures, whose peak is 255; `inf` where there are none."""
    squares = fsum(float(np.sum(difference(a[strip], b[strip]) ** 2)) for strip in strips(a.shape))
    count: int = a.shape[0] * a.shape[1] * difference(a[:1, :1], b[:1, :1]).size
    error = squares / count
    return 10 * log10(PEAK**2 / error) if error > 0 else inf


def _error(a: Samples, b: Samples) -> FloatArray:
    return _samples(a) - _samples(b)


def _luma_error(a: U8Array, b: U8Array) -> FloatArray:
    """The luma of the difference of two pictures, which takes a fifth of the time of two lumas."""
    difference = np.atleast_3d(np.subtract(a, b, dtype=np.int16))
    if difference.shape[2] == 1:
        return np.asarray(difference[..., 0] * LUMA.sum())
    error = difference[..., 0] * LUMA[0]
    for channel in (1, 2):
        error += difference[..., channel] * LUMA[channel]
    return np.asarray(error)


def _mean_ssim(a: Samples, b: Samples) -> float:
    """Mean over the channels of (H, W, C)."""
    return float(np.mean([ssim_of(a[..., c], b[..., c], _samples) for c in range(a.shape[2])]))


def ssim_of(a: Any, b: Any, plane: Plane) -> float:
    """Mean over all positions of the window in the (H, W) that `plane` gives."""
    height, width = a.shape[:2]
    fitting = min(_WINDOW, height, width)
    kernel = _gaussian(fitting if fitting % 2 else fitting - 1)
    reach = len(kernel) - 1
    total = fsum(
        _ssim_total(plane(a[strip]), plane(b[strip]), kernel) for strip in strips(a.shape, reach)
    )
    positions: int = (height - reach) * (width - reach)
    return total / positions


def _ssim_total(a: FloatArray, b: FloatArray, kernel: FloatArray) -> float:
    mean_a, mean_b = _blur(a, kernel), _blur(b, kernel)
    variance_a = _blur(a * a, kernel) - mean_a**2
    variance_b = _blur(b * b, kernel) - mean_b**2
    covariance = _blur(a * b, kernel) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_a + variance_b + _C2)
    return float(np.sum(luminance * structure))


def _gaussian(length: int) -> FloatArray:
    """Weights of sum 1: the 2-D window is their outer product, so axes are filtered in turn."""
    weights = np.exp(-((np.arange(length) - length // 2) ** 2) / (2 * _SIGMA**2))
    return np.asarray(weights / weights.sum())


def _blur(plane: FloatArray, kernel: FloatArray) -> FloatArray:
    """Correlate both axes with `kernel`, valid region only."""
    for _ in range(2):
        length = len(plane) - len(kernel) + 1
        total = np.zeros((length, plane.shape[1]))
        for offset, weight in enumerate(kernel):
            total += weight * plane[offset : offset + length]
        plane = np.ascontiguousarray(total.T)
    return plane
