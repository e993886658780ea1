"""The measures of pixels that floors name: what they are called, and how far they are trusted."""

from __future__ import annotations

from math import inf, log10
from typing import Final

from rescaling_core.quality.measure import Measure
from rescaling_core.quality.metrics import LUMA, PEAK, max_abs_error, psnr_y, ssim_y

ROUNDED_OTHERWISE: Final = 0.1
"""Share of pixels that another device is taken to round to the next level."""


def margin_of_rounding(floor: float) -> float:
    """How far PSNR-Y falls where a tenth of all pixels is off by one level in every channel.

    Another device may round what lies between two levels otherwise. The same restorer in float32,
    by another library, turned 8 samples in a million; in bfloat16, 5 in a hundred, which moved
    PSNR-Y by 0.0008 dB at most, as most of them lay between the levels.

    Args:
        floor: PSNR-Y in dB.

    Returns:
        dB: 0.012 at 34, 0.05 at 40, and 0.5 at 50.
    """
    added = ROUNDED_OTHERWISE * float(LUMA.sum()) ** 2
    return 10 * log10(1 + added * 10 ** (floor / 10) / PEAK**2)


PSNR_Y: Final = Measure(
    name="psnr_y",
    title="PSNR-Y",
    unit="dB",
    compute=psnr_y,
    best=inf,
    lowest=0,
    highest=100,
    compared=True,
    number=10,
    margin_name="margin_db",
    margin=margin_of_rounding,
    most_margin=10,
    worth_db=1.0,
)

SSIM_Y: Final = Measure(
    name="ssim_y",
    title="SSIM-Y",
    compute=ssim_y,
    best=1.0,
    lowest=0,
    highest=1,
    digits=4,
    number=11,
    margin_name="margin_ssim",
    margin=0.0005,  # that tenth of pixels, see above, moves it by 0.0004
    most_margin=0.1,
    worth_db=50.0,
)

MAX_ABS_ERROR: Final = Measure(
    name="max_abs_error",
    title="largest error",
    compute=max_abs_error,
    best=0,
    lowest=0,
    highest=255,
    digits=0,
    higher_is_better=False,
    whole=True,
    number=12,
    margin_name="margin_levels",
    margin=1,
    most_margin=16,
    worth_db=0.5,
)
