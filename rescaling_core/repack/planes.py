"""Samples of 16 bits as a 12-bit AVIF, and back: the same numbers on every machine.

Colours are turned into luma and two differences here, at 12 bits, and coded as three planes that
stand for themselves (AVIF's identity matrix): decoders do not convert them, and what AV1 decodes to
is exact by its specification. So what comes back can be held to a digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.errors import CodecError
from rescaling_core.repack.library import imagecodecs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rescaling_core.pixels.arrays import U16Array

CODER: Final = "avif-12"
"""What packs call it."""
MOST_SIDE: Final = 16_384
"""Pixels: libavif refuses to read larger ones unless told otherwise."""
_MOST: Final = 4095
_MIDDLE: Final = 2048
_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
"""Weights of luma, by ITU-R BT.601."""
_OF_RED, _OF_BLUE = 1.402, 1.772
"""Twice what the weights of red and of blue leave of 1."""
_SPEED: Final = 6


def coded(samples: U16Array, quality: int, effort: int | None = None) -> bytes:
    """Code a picture.

    Args:
        samples: (H, W, C), C = 1 or 3.
        quality: 0 to 100, as for AVIF.
        effort: 0 to 10, more is slower and smaller; None for 4.

    Raises:
        CodecUnavailableError: There is no encoder here.
        CodecError: The picture is too large for it.
    """
    height, width = samples.shape[:2]
    if max(height, width) > MOST_SIDE:
        raise CodecError(f"{width} x {height}: at most {MOST_SIDE} a side as AVIF")
    library = imagecodecs()
    try:
        data: bytes = library.avif_encode(
            _planes(samples),
            level=quality,
            speed=_SPEED if effort is None else 10 - effort,
            bitspersample=12,
            pixelformat="444",
            codec="aom",
            # What they mean is not for viewers: unspecified colours, planes as they are.
            primaries=2,
            transfer=2,
            matrix=0,
            numthreads=1,
        )
    except (RuntimeError, ValueError) as error:
        raise CodecError(f"cannot code a picture of 16 bits: {error}") from error
    return data


def decoded(data: bytes, shape: tuple[int, int, int]) -> U16Array:
    """Decode what `coded` made.

    Args:
        data: The AVIF.
        shape: (H, W, C) of the picture.

    Raises:
        CodecUnavailableError: There is no decoder here.
        ValueError: It is damaged, or of another size.
    """
    height, width, bands = shape
    if max(height, width) > MOST_SIDE:
        raise ValueError(f"{width} x {height}: at most {MOST_SIDE} a side as AVIF")
    try:
        planes = imagecodecs().avif_decode(data, numthreads=1)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"the coded picture is damaged: {error}") from error
    if planes.shape != (height, width, 3) or planes.dtype != np.uint16 or bands not in (1, 3):
        raise ValueError(f"a coded picture of {planes.shape} {planes.dtype}, not {shape}")
    return _samples(planes, bands)


def _planes(samples: U16Array) -> NDArray[np.uint16]:
    """(H, W, 3): difference of red, luma, difference of blue, as AVIF orders G, B, R."""
    found = np.full((*samples.shape[:2], 3), _MIDDLE, np.uint16)
    for row in range(len(samples)):  # in float64, which would take eight times the picture
        levels = samples[row].astype(np.float64) * (_MOST / 65535)
        if samples.shape[2] == 1:
            found[row, :, 1] = np.rint(levels[:, 0])
            continue
        red, green, blue = levels.T
        luma = _RED * red + _GREEN * green + _BLUE * blue
        of_red = (red - luma) / _OF_RED + _MIDDLE
        of_blue = (blue - luma) / _OF_BLUE + _MIDDLE
        line = np.stack((of_red, luma, of_blue), axis=1)
        found[row] = np.clip(np.rint(line), 0, _MOST)
    return found


def _samples(planes: NDArray[np.uint16], bands: int) -> U16Array:
    found = np.empty((*planes.shape[:2], bands), np.uint16)
    for row in range(len(planes)):
        line = planes[row].astype(np.float64)
        luma = line[:, 1:2]
        if bands == 3:
            red = luma[:, 0] + _OF_RED * (line[:, 0] - _MIDDLE)
            blue = luma[:, 0] + _OF_BLUE * (line[:, 2] - _MIDDLE)
            green = (luma[:, 0] - _RED * red - _BLUE * blue) / _GREEN
            luma = np.stack((red, green, blue), axis=1)
        found[row] = np.rint(np.clip(luma * (65535 / _MOST), 0, 65535))
    return found
