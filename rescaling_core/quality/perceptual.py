"""Quality as it is seen, by a library."""

from __future__ import annotations

import io
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from rescaling_core.quality.measure import Measure

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U8Array

SMALLEST: Final = 256
"""Side in pixels below which the six scales of the metric do not all fit, so that it would flatter
the picture."""
LARGEST: Final = 1024
"""Side in pixels above which a picture is measured part by part, so that 400 MB of memory are
enough."""


def ssimulacra2(restored: U8Array, reference: U8Array) -> float:
    """SSIMULACRA 2, colour included, of one picture against another.

    About 30: low quality; 50: medium; 70: high, flaws are hard to see without the original beside
    it; 80: not to be told apart side by side; 90: visually lossless.

    Pictures with a side under 256 pixels are continued by their mirror image up to that. Pictures
    with a side over 1024 are cut into parts of nearly equal size, and the worst part counts.

    Args:
        restored: (H, W, 3) RGB or (H, W, 1) grey, 0-255, read as sRGB.
        reference: The same shape.

    Returns:
        100 where they are identical, below 0 where hardly anything is alike.

    Raises:
        ValueError: The shapes differ or hold nothing.

    Source:
        J. Sneyers, SSIMULACRA 2.1 of libjxl, as the package `ssimulacra2` ports it to numpy.
    """
    from ssimulacra2 import compute_ssimulacra2  # imports scipy: only where it is asked for

    if restored.shape != reference.shape or not restored.size:
        raise ValueError(f"two pictures of one shape expected: {restored.shape}, {reference.shape}")
    height, width = restored.shape[:2]
    parts = [(rows, columns) for rows in _parts(height) for columns in _parts(width)]
    return float(
        min(
            compute_ssimulacra2(_file(reference[part]), _file(restored[part]))  # original first
            for part in parts
        )
    )


def _parts(length: int) -> list[slice]:
    count = ceil(length / LARGEST)
    return [slice(i * length // count, (i + 1) * length // count) for i in range(count)]


def _file(pixels: U8Array) -> io.BytesIO:
    """As an uncompressed file, since files are what the library reads."""
    height, width = pixels.shape[:2]
    missing = [(0, max(0, SMALLEST - height)), (0, max(0, SMALLEST - width)), (0, 0)]
    padded = np.pad(pixels, missing, mode="symmetric")
    file = io.BytesIO()
    Image.fromarray(padded[..., 0] if padded.shape[2] == 1 else padded).save(file, "PPM")
    file.seek(0)
    return file


SSIMULACRA2: Final = Measure(
    name="ssimulacra2",
    title="SSIMULACRA 2",
    compute=ssimulacra2,
    best=100.0,
    lowest=0,
    highest=100,
    costly=True,
    compared=True,
    number=30,
    margin_name="margin_ssimulacra2",
    margin=0.1,
    most_margin=10,
    worth_db=0.2,
)
