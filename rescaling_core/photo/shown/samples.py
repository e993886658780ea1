"""Samples of any depth and mode as 8 bits without alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from rescaling_core.errors import UnsupportedImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_STRIP: Final = 256
"""Rows."""
_BEYOND: Final = 0.1
"""By how much fractions may leave the range from 0 to 1, as those of lossy files do."""
_COLOURS: Final = ("L", "RGB", "CMYK", "LAB", "YCbCr")
_TRANSPARENT: Final = ("LA", "RGBA", "PA", "La", "RGBa")


def eight_bits(
    image: Image.Image, *, bits: int = 16, full_range: bool = False, inverted: bool = False
) -> tuple[Image.Image, str | None]:
    """Give samples of more than 8 bits 8.

    Whole numbers of up to 16 bits keep their upper eight. Of 32-bit, signed and floating-point
    samples, 0 to 1 becomes 0 to 255 where they are fractions in that range, or a tenth beyond; else
    what lies between the least and the greatest of the picture does.

    Args:
        image: A loaded image.
        bits: Of samples of mode I;16.
        full_range: Whether samples of mode I are of 16 bits, as some plugins give them.
        inverted: Whether 0 is white.

    Returns:
        The image, and what was done in words; None for nothing.
    """
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and full_range):
        shift = max(0, bits - 8)
        found = _by_strips(image, lambda strip: np.clip(strip.astype(np.int64) >> shift, 0, 255))
        note: str | None = f"the upper 8 of {bits} bits"
    elif mode in ("I", "F"):
        low, high = _range(image)
        is_fraction = mode == "F" and low >= -_BEYOND and high <= 1 + _BEYOND
        if is_fraction:
            low, high = 0.0, 1.0
        step = 255 / (high - low) if high > low else 0.0
        found = _by_strips(image, lambda strip: np.rint((_finite(strip, low, high) - low) * step))
        what = "floating-point" if mode == "F" else "32-bit or signed"
        note = f"{what} samples, {low:g} to {high:g} as 0 to 255"
    else:
        return image, None
    return Image.fromarray(255 - found if inverted else found), note


def without_alpha(image: Image.Image) -> tuple[Image.Image, str | None]:
    """Resolve palettes, and lay what is transparent on white.

    Returns:
        An image of mode L, RGB, CMYK, LAB or YCbCr, and what was done in words.

    Raises:
        UnsupportedImageError: No rule says how such samples look.
    """
    notes = []
    if image.mode == "1":
        return image.convert("L"), "bilevel"
    if image.mode in ("P", "PA"):
        notes.append("palette")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        notes.append("laid on white")
        is_grey = image.mode in ("L", "LA", "La")
        if image.mode in ("La", "RGBa"):  # premultiplied
            image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
        seen = image.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        white.alpha_composite(seen)
        image = white.convert("L" if is_grey else "RGB")
    elif image.mode == "P" or image.mode == "RGBX":
        image = image.convert("RGB")
    elif image.mode not in _COLOURS:
        raise UnsupportedImageError(f"mode {image.mode}: no rule says how it looks")
    return image, ", ".join(notes) or None


def _by_strips(image: Image.Image, function: object) -> NDArray[np.uint8]:
    width, height = image.size
    found = np.empty((height, width), np.uint8)
    for top, strip in _strips(image):
        found[top : top + len(strip)] = function(strip)  # type: ignore[operator]
    return found


def _strips(image: Image.Image) -> Iterator[tuple[int, NDArray[np.generic]]]:
    width, height = image.size
    for top in range(0, height, _STRIP):
        yield top, np.asarray(image.crop((0, top, width, min(top + _STRIP, height))))


def _range(image: Image.Image) -> tuple[float, float]:
    """The least and the greatest finite sample; 0 and 0 if there is none."""
    low, high = np.inf, -np.inf
    for _, strip in _strips(image):
        finite = strip[np.isfinite(strip)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (0.0, 0.0) if low > high else (low, high)


def _finite(strip: NDArray[np.generic], low: float, high: float) -> NDArray[np.float64]:
    values = np.nan_to_num(strip.astype(np.float64), nan=low, posinf=high, neginf=low)
    return np.clip(values, low, high)
