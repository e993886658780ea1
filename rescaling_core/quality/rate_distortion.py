"""Comparing rate-distortion curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEGREE: Final = 3


def bd_rate(
    reference: Sequence[tuple[float, float]], curve: Sequence[tuple[float, float]]
) -> float | None:
    """How many more bits a curve takes than a reference, on average at equal quality.

    The logarithm of the rate is fitted by a cubic in the quality, and the difference of the fits
    is averaged over the qualities that both curves reach.

    Args:
        reference: (bits, quality in dB) pairs, any order; at least four.
        curve: The same.

    Returns:
        Percent; negative where `curve` takes fewer bits. None where the curves share no range of
        quality, or one has fewer than four points.

    Source:
        Bjøntegaard, VCEG-M33 (2001).
    """
    if min(len(reference), len(curve)) <= _DEGREE:
        return None
    (rate_a, quality_a), (rate_b, quality_b) = (
        (np.log([bits for bits, _ in points]), np.array([quality for _, quality in points]))
        for points in (reference, curve)
    )
    low = max(quality_a.min(), quality_b.min())
    high = min(quality_a.max(), quality_b.max())
    if low >= high:
        return None
    integrals = []
    for rate, quality in ((rate_a, quality_a), (rate_b, quality_b)):
        # Centred, as cubics of large numbers are ill-conditioned.
        integral = np.polynomial.Polynomial.fit(quality, rate, _DEGREE).integ()
        integrals.append(float(integral(high) - integral(low)))
    return float(np.expm1((integrals[1] - integrals[0]) / (high - low)) * 100)


def rate_at(curve: Sequence[tuple[float, float]], quality: float) -> float | None:
    """Bits that a curve takes for a quality, interpolated on the logarithm of the bits.

    Args:
        curve: (bits, quality in dB) pairs, any order.
        quality: dB.

    Returns:
        Bits; None where the curve does not reach so low or so high.
    """
    points = sorted((own_quality, bits) for bits, own_quality in curve)
    qualities, rates = np.array(points, np.float64).reshape(-1, 2).T
    if not len(points) or not qualities[0] <= quality <= qualities[-1]:
        return None
    return float(np.exp(np.interp(quality, qualities, np.log(rates))))
