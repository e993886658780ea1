"""What the sources of several formats share: limits, samples, and what no format may lose."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.opening import samples_of
from rescaling_core.photo.record import MODES, TOO_DEEP

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL.ImageFile import ImageFile

    from rescaling_core.containers.parts import Part
    from rescaling_core.pixels.arrays import U8Array

_WHY_NOT: Final = {
    "1": "bilevel",
    "P": "palette",
    "PA": "palette with alpha",
    "CMYK": "CMYK",
    "YCbCr": "YCbCr",
    "LAB": "Lab",
    "HSV": "HSV",
    "F": "floating-point samples",
    "I": "32-bit samples",
    "RGBa": "premultiplied alpha",
    "La": "premultiplied alpha",
    "RGBX": "a fourth channel that is not alpha",
}
_METRE: Final = 0.0254
"""Metres in an inch."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a source may ask for."""

    max_pixels: int
    """Width × height."""
    max_carried: int
    """Bytes beside pixels and alpha, unpacked."""


def split_alpha(samples: U8Array, mode: str) -> tuple[U8Array, U8Array | None]:
    """Split interleaved samples into (H, W, C) colour and (H, W) alpha."""
    planes, has_alpha = MODES[mode]
    if not has_alpha:
        return samples, None
    return np.ascontiguousarray(samples[..., :planes]), np.ascontiguousarray(samples[..., planes])


def load(image: ImageFile) -> tuple[U8Array, U8Array | None]:
    """Decode the pixels of an opened image: colour (H, W, C) and alpha (H, W)."""
    image.load()
    return split_alpha(samples_of(image), image.mode)


def refuse_sequence(image: ImageFile) -> None:
    """Refuse a file of several pictures.

    Raises:
        UnsupportedImageError: There are several.
    """
    if getattr(image, "is_animated", False) or getattr(image, "n_frames", 1) > 1:
        what = "multi-page" if image.format in ("TIFF", "HEIF") else "animated"
        raise UnsupportedImageError(f"{what} {image.format}: only one picture would be carried")


def refuse_mode(image: ImageFile) -> None:
    """Refuse an image of other samples than the networks carry.

    Raises:
        UnsupportedImageError: It says which.
    """
    if image.mode not in MODES:
        raise UnsupportedImageError(mode_reason(image.mode))
    if "transparency" in image.info:
        raise UnsupportedImageError("a transparent colour key: a restored colour would miss it")


def mode_reason(mode: str) -> str:
    """Why a mode of Pillow is not archived."""
    what = "16-bit samples" if mode.startswith("I;16") else _WHY_NOT.get(mode, f"mode {mode}")
    return f"{what}: {TOO_DEEP}"


def named(parts: Iterable[Part], data: bytes, name: str) -> bytes | None:
    """The bytes of the metadata part of a name; None if there is none or it is empty."""
    for part in parts:
        if part.kind == "metadata" and part.name == name:
            return part.of(data) or None
    return None


def stated_dpi(x: object, y: object) -> tuple[float, float] | None:
    """A density, if it is one that a PNG can state: 1 to 2³¹ - 1 pixels a metre."""
    try:
        found = float(x), float(y)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not all(isfinite(dpi) and 1 <= dpi / _METRE + 0.5 < 2**31 for dpi in found):
        return None
    return found
