"""The mean absolute error of all samples: an example of a measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.quality.measure import Measure

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U8Array


def mean_error(restored: U8Array, reference: U8Array) -> float:
    """The mean of all absolute differences, in levels of 255.

    Args:
        restored: (H, W, C), 0-255.
        reference: The same shape.
    """
    return float(np.abs(restored.astype(np.int16) - reference.astype(np.int16)).mean())


MEAN_ERROR: Final = Measure(
    name="mean_error",
    title="mean error",
    unit="levels",
    compute=mean_error,
    best=0.0,
    lowest=0,
    highest=255,
    higher_is_better=False,
    number=1000,  # numbers below 1000 are Refold's own
    margin_name="margin_mean_error",
    margin=0.02,
    most_margin=5,
    worth_db=3.0,
)
