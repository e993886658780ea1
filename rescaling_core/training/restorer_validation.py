"""Measuring a restorer over pairs that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.networks.restorer import TO_YCBCR
from rescaling_core.quality import metrics
from rescaling_core.rescale.decoded import restore_decoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.networks.restorer import Restorer
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.training.pairs import Pair

_NO_ERROR: Final = 1e-4
"""Squared levels that stand for none, so that a gain has a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a restorer adds to what the decoder gave, means over all pairs."""

    pairs: int
    psnr_y: float
    """PSNR-Y in dB of the restored pictures."""
    gain: float
    """PSNR-Y in dB above that of the decoded pictures: the mean over qualities."""
    gains: dict[str, float]
    """The same at each quality, which is the key."""
    colours: float
    """dB by which the mean squared error of both colour differences fell, all pairs together."""

    @property
    def figure(self) -> float:
        """What decides which weights are the best."""
        return self.gain


def measure_restorer(restorer: Restorer, pairs: Sequence[Pair]) -> Gain:
    """Restore every picture, round to 8 bits, compare.

    Args:
        restorer: In evaluation mode.
        pairs: As it is used: at scale 2, the gain is that over cubic enlargement.
    """
    untrained = type(restorer)(**restorer.config).eval().requires_grad_(requires_grad=False)
    rows: dict[int, list[float]] = {}
    restored_psnr, before, after = [], [], []
    for pair in pairs:
        beside = []
        if pair.beside is not None and pair.beside_quality is not None:
            beside = [(pair.beside, pair.beside_quality)]
        restored = restore_decoded(pair.decoded, pair.quality, restorer, beside=beside)
        plain = pair.decoded
        if restorer.scale > 1:
            plain = restore_decoded(pair.decoded, pair.quality, untrained)
        psnr = metrics.psnr_y(restored, pair.original)
        restored_psnr.append(psnr)
        rows.setdefault(pair.quality, []).append(psnr - metrics.psnr_y(plain, pair.original))
        before.append(_colour_error(plain, pair.original))
        after.append(_colour_error(restored, pair.original))
    gains = {str(quality): round(float(np.mean(rows[quality])), 4) for quality in sorted(rows)}
    return Gain(
        pairs=len(pairs),
        psnr_y=float(np.mean(restored_psnr)),
        gain=float(np.mean(list(gains.values()))),
        gains=gains,
        colours=10 * log10((np.mean(before) + _NO_ERROR) / (np.mean(after) + _NO_ERROR)),
    )


def _colour_error(picture: U8Array, original: U8Array) -> float:
    """Mean squared error of both colour differences, in levels."""
    difference = original.astype(np.float32) - picture
    colours = difference @ np.array(TO_YCBCR[1:], np.float32).T
    return float(np.mean(colours * colours))
