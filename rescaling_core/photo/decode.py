"""File bytes → Photo, or the reason why not."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.errors import UnreadableImageError, UnsupportedImageError
from rescaling_core.photo import exif, headers, jpeg, jxl, png, tiff
from rescaling_core.photo.opening import open_image
from rescaling_core.photo.record import MODES, Photo, Traits

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from rescaling_core.arrays import U8Array

DEFAULT_MAX_PIXELS: Final = 200_000_000

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
    "RGBX": "a fourth channel that is no alpha",
}


def decode_photo(data: bytes, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Photo:
    """Decode a source.

    Args:
        data: The whole file.
        max_pixels: Width × height above which it counts as a decompression bomb; checked before
            pixels are decoded. Decoding takes about 8 bytes of memory per pixel at its peak.

    Returns:
        Pixels as stored and all that travels with them.

    Raises:
        UnreadableImageError: Empty, truncated, damaged, or not an image.
        ImageTooLargeError: More than `max_pixels`.
        UnsupportedImageError: A sound image that 8-bit networks cannot carry without loss; the
            message is the reason why it is kept.
    """
    with open_image(data, max_pixels=max_pixels) as image:
        _refuse_what_would_be_lost(image, data)
        if image.format == "JXL":
            return _decode_jxl(image, data)
        return _decode(image, data)


def _decode(image: ImageFile, data: bytes) -> Photo:
    name = str(image.format)
    tags = tiff.read_tags(image) if name == "TIFF" else None
    image.load()
    pixels, alpha = split_alpha(np.asarray(image), image.mode)
    if tags is not None:  # Pillow turns the pixels of a TIFF as they are loaded
        pixels = tiff.as_stored(pixels, tags.orientation)
        alpha = None if alpha is None else tiff.as_stored(alpha, tags.orientation)
    if name == "JPEG":
        traits = jpeg.read_traits(image, data)
    elif name == "PNG":
        traits = Traits(png_chunks=png.ancillary_chunks(data))
    else:
        traits = Traits(iptc=tags.iptc if tags else None)
    return Photo(
        pixels=pixels,
        alpha=alpha,
        mode=image.mode,
        format=name,
        icc=image.info.get("icc_profile") or None,
        exif=tags.exif if tags else exif.without_prefix(image.info.get("exif")),
        xmp=_xmp(image),
        dpi=_dpi(image),
        traits=traits,
    )


def _decode_jxl(image: ImageFile, data: bytes) -> Photo:
    pixels, alpha = split_alpha(np.asarray(image), image.mode)
    block = exif.without_prefix(image.info.get("exif"))
    if block and not getattr(image, "jpeg", False):
        # The format's own orientation rules, and the decoder has applied it. Not so where the
        # file is a JPEG packed anew: that is unpacked as it was.
        block = exif.with_orientation(block, 1)
    return Photo(
        pixels=pixels,
        alpha=alpha,
        mode=image.mode,
        format="JXL",
        icc=jxl.stated_profile(image.info.get("icc_profile")),
        exif=block,
        xmp=jxl.xmp(data),
    )


def split_alpha(samples: U8Array, mode: str) -> tuple[U8Array, U8Array | None]:
    """Split Pillow's samples into (H, W, C) colour and (H, W) alpha.

    Raises:
        UnsupportedImageError: The mode is none of `MODES`.
    """
    if mode not in MODES:
        raise UnsupportedImageError(_mode_reason(mode))
    planes, has_alpha = MODES[mode]
    if samples.ndim == 2:
        samples = samples[..., None]
    colour = np.ascontiguousarray(samples[..., :planes])
    return colour, np.ascontiguousarray(samples[..., planes]) if has_alpha else None


def _mode_reason(mode: str) -> str:
    what = "16-bit samples" if mode.startswith("I;16") else _WHY_NOT.get(mode, f"mode {mode}")
    return f"{what}: the networks carry 8-bit grey and RGB only"


def _refuse_what_would_be_lost(image: ImageFile, data: bytes) -> None:
    name = image.format
    if name == "MPO":
        raise UnsupportedImageError("JPEG of several pictures (MPO): only one would be carried")
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        what = "multi-page TIFF" if name == "TIFF" else f"animated {name}"
        raise UnsupportedImageError(f"{what} of {frames} frames: only one would be carried")
    if name == "PNG":
        png.check(data)
    elif name == "TIFF":
        tiff.check(image)
    elif name == "JXL":
        jxl.check(data)
    elif name == "AVIF":
        headers.check_avif(data)
    if image.mode not in MODES:
        raise UnsupportedImageError(_mode_reason(image.mode))
    if "transparency" in image.info:
        raise UnsupportedImageError("a transparent colour key: a restored colour would miss it")
    if min(image.size) < 1:
        raise UnreadableImageError("damaged: no pixels")


def _xmp(image: ImageFile) -> bytes | None:
    xmp = image.info.get("xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    return xmp if isinstance(xmp, bytes) and xmp else None


def _dpi(image: ImageFile) -> tuple[float, float] | None:
    dpi = image.info.get("dpi")
    if dpi is None:
        return None
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if isfinite(x) and isfinite(y) and x > 0 and y > 0 else None
