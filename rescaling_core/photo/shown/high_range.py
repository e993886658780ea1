"""Pictures of a high dynamic range (PQ, HLG) as a usual screen shows them.

No standard says what such a picture looks like where there is no room above white. This is the rule
that browsers built on Skia follow: reference white is 203 nits, what is below it is darkened by up
to half, and what is above it is rolled off up to the peak, by the largest of the three channels, so
that hues stay. Curve: the reference white tone mapping operator of SMPTE ST 2094-50. Transfer
functions: ITU-R BT.2100.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

PQ: Final = 16
HLG: Final = 18
NAMES: Final = {PQ: "PQ", HLG: "HLG"}
"""By ITU-T H.273, as `transfer`."""
_WHITE: Final = 203.0
"""Nits of reference white, by ITU-R BT.2408."""
_USUAL_PEAK: Final = 1000.0
"""Nits, where a file states none; an HLG screen's too."""
_KAPPA: Final = 0.65
"""How far the corner of the roll-off lies from reference white."""
_HLG_LUMA: Final = np.array([0.2627, 0.6780, 0.0593])
_STRIP: Final = 256
"""Rows."""


@dataclass(frozen=True, slots=True)
class HighRange:
    """What the samples of a picture of a high dynamic range mean."""

    transfer: int
    """`PQ` or `HLG`."""
    to_wide: NDArray[np.float64]
    """(3, 3): linear samples to linear BT.2020."""
    to_srgb: NDArray[np.float64]
    """(3, 3): linear BT.2020 to linear sRGB."""
    peak: float = _USUAL_PEAK
    """Nits of the brightest that it shows."""

    def shown(self, image: Image.Image) -> Image.Image:
        """The picture as sRGB at 8 bits.

        Args:
            image: Of mode L or RGB, its samples coded by the transfer function.
        """
        image = image.convert("RGB")
        width, height = image.size
        light = _LIGHT[self.transfer]()
        found = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, _STRIP):
            coded = np.asarray(image.crop((0, top, width, min(top + _STRIP, height))))
            found[top : top + len(coded)] = self._mapped(light[coded])
        return Image.fromarray(found)

    def _mapped(self, light: NDArray[np.float64]) -> NDArray[np.uint8]:
        wide = np.clip(light @ self.to_wide.T, 0, None)
        if self.transfer == HLG:  # scene light to that of a screen of 1000 nits
            luma = wide @ _HLG_LUMA
            wide *= (_USUAL_PEAK / _WHITE) * np.power(luma, 0.2)[..., None]
        largest = wide.max(axis=-1, keepdims=True)
        gain = np.divide(
            rolled_off(largest, self.peak / _WHITE),
            largest,
            out=np.zeros_like(largest),
            where=largest > 0,
        )
        linear = np.clip((wide * gain) @ self.to_srgb.T, 0, 1)
        curved = 1.055 * np.power(linear, 1 / 2.4) - 0.055
        levels = 255 * np.where(linear <= 0.0031308, 12.92 * linear, curved)
        return np.asarray(np.rint(levels), np.uint8)


def rolled_off(light: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """What a usual screen shows of light.

    Args:
        light: 1 is reference white.
        peak: The brightest.

    Returns:
        0 to 1 where light is 0 to `peak`.
    """
    if peak <= 1:
        return light
    white = 1 - 0.5 * min(1.0, np.log2(peak) / np.log2(_USUAL_PEAK / _WHITE))
    # A quadratic Bézier curve from reference white to the peak, solved for where `light` lies.
    corner_x = 1 - _KAPPA + _KAPPA / white
    corner_y = (1 - _KAPPA) * white + _KAPPA
    a, b = 1 - 2 * corner_x + peak, 2 * corner_x - 2
    above = np.clip(light, 1, peak) - 1
    at = 2 * above / (b + np.sqrt(b * b + 4 * a * above)) if b > 0 else np.zeros_like(above)
    curve = white + 2 * at * (corner_y - white) + at * at * (white - 2 * corner_y + 1)
    return np.asarray(np.where(light <= 1, light * white, curve))


def peak_of(held: Mapping[bytes, bytes], unit: int) -> float:
    """Nits of the brightest, by the content's light level or else by the screen it was made on.

    Args:
        held: `cLLI` and `mDCV` of a PNG, `clli` and `mdcv` of an AVIF or HEIC, by name in lower
            case.
        unit: 32-bit numbers of a ten thousandth nit (4), or 16-bit ones of a nit (2), in `clli`.
    """
    level, screen = held.get(b"clli", b""), held.get(b"mdcv", b"")
    found = 0.0
    if len(level) >= 2 * unit:
        found = int.from_bytes(level[:unit], "big") / (10_000 if unit == 4 else 1)
    if not found and len(screen) >= 24:
        found = int.from_bytes(screen[16:20], "big") / 10_000
    return found or _USUAL_PEAK


def _pq() -> NDArray[np.float64]:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = np.power(np.arange(256) / 255, 1 / m2)
    nits = 10_000 * np.power(np.maximum(power - c1, 0) / (c2 - c3 * power), 1 / m1)
    return np.asarray(nits / _WHITE)


def _hlg() -> NDArray[np.float64]:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    coded = np.arange(256) / 255
    return np.where(coded <= 0.5, coded * coded / 3, (np.exp((coded - c) / a) + b) / 12)


_LIGHT: Final = {PQ: _pq, HLG: _hlg}
"""Light of each of 256 samples: 1 is reference white of PQ, a screen's peak of HLG."""
