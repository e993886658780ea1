"""How a restored photo differs from its source: the pixels measured, all else equal or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.quality.scores import Scores, measure_all, usual

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rescaling_core.photo import Photo
    from rescaling_core.quality.floor import Floor

_CARRIED: Final = ("mode", "format", "icc", "exif", "xmp", "dpi", "traits")
"""Fields of a photo that are either given back exactly or count as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Scores):
    """A restored photo compared with its source."""

    psnr_y: float
    """PSNR on luma in dB, over the whole image; infinite where every sample equals the source's."""
    ssim_y: float
    max_abs_error: int
    """Error of the worst sample, in levels of 255."""
    lost: tuple[str, ...] = ()
    """Names of the fields that the source carried and that the restored photo lacks or has
    changed."""

    def misses(self, floor: Floor) -> str | None:
        """Which measure falls short of a floor, or None."""
        return floor.misses(self, exact=self.max_abs_error == 0)


def compare(restored: Photo, source: Photo, *, floors: Iterable[Floor] = ()) -> Comparison:
    """Measure a restored photo against its source.

    Args:
        restored: The photo.
        source: What it should be.
        floors: What it is to be held to: costly measures are taken only where one asks for them.

    Raises:
        ValueError: They are not of one size.
    """
    lost = [name for name in _CARRIED if getattr(restored, name) != getattr(source, name)]
    if not _same_alpha(restored, source):
        lost.append("alpha")
    scores = measure_all(restored.pixels, source.pixels, usual(and_of=floors))
    return Comparison(**scores, lost=tuple(lost))


def _same_alpha(restored: Photo, source: Photo) -> bool:
    if restored.alpha is None or source.alpha is None:
        return restored.alpha is source.alpha
    return np.array_equal(restored.alpha, source.alpha)
