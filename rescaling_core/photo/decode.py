"""File bytes → Photo, or the reason why not."""

from __future__ import annotations

import importlib
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.containers import exif, headers
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.opening import (
    check_size,
    decoder_errors,
    identify,
    open_image,
    samples_of,
)
from rescaling_core.photo.record import MODES, TOO_DEEP, Photo, Traits
from rescaling_core.photo.sources import bmp, heif, jpeg, jxl, png, tiff

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from rescaling_core.pixels.arrays import U8Array

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
            pixels are decoded.

    Returns:
        Pixels as stored and all that travels with them.

    Raises:
        UnreadableImageError: Empty, truncated, damaged, or not an image.
        ImageTooLargeError: More than `max_pixels`. Pillow by itself refuses TIFF and WebP above
            178,956,970.
        UnsupportedImageError: A sound image that 8-bit networks cannot carry without loss; the
            message is the reason why it is kept.
    """
    name = identify(data)
    with decoder_errors(name):
        if name == "JXL":
            return _decode_jxl(data, max_pixels)
        if name == "GIF":
            raise UnsupportedImageError(_mode_reason("P"))
        if name == "PNG":
            png.check(data)
        layout = jpeg.check(data) if name == "JPEG" else None
        with open_image(data, max_pixels=max_pixels) as image:
            _refuse_what_would_be_lost(image, data)
            photo = _decode(image)
            if layout is not None:
                return replace(photo, traits=jpeg.traits(image, layout))
            if name == "PNG":
                chunks = png.ancillary_chunks(data, with_density=photo.dpi is None)
                return replace(photo, traits=Traits(png_chunks=chunks))
            return photo


def _decode(image: ImageFile) -> Photo:
    name = str(image.format)
    tags = tiff.read_tags(image) if name == "TIFF" else None
    image.load()
    pixels, alpha = _split_alpha(samples_of(image), image.mode)
    if tags is not None:  # Pillow turns the pixels of a TIFF as they are loaded
        pixels = tiff.as_stored(pixels, tags.orientation)
        alpha = None if alpha is None else tiff.as_stored(alpha, tags.orientation)
    return Photo(
        pixels=pixels,
        alpha=alpha,
        mode=image.mode,
        format=name,
        icc=image.info.get("icc_profile") or None,
        exif=tags.exif if tags else exif.without_prefix(image.info.get("exif")),
        xmp=_xmp(image),
        dpi=_dpi(image),
        traits=Traits(iptc=tags.iptc if tags else None),
    )


def _decode_jxl(data: bytes, max_pixels: int) -> Photo:
    """By the plugin's decoder, as its Pillow class drops XMP and the JPEG that may be inside."""
    check_size(headers.peek_size("JXL", data), max_pixels)
    jxl.check(data)
    decoder = importlib.import_module("pillow_jxl").Decoder(num_threads=-1)
    is_jpeg, header, samples, icc, _ = decoder(data)
    if is_jpeg:
        return replace(decode_photo(samples, max_pixels=max_pixels), format="JXL")
    check_size((header.width, header.height), max_pixels)
    if header.mode not in MODES:
        raise UnsupportedImageError(_mode_reason(header.mode))
    shape = (header.height, header.width, len(header.mode))
    pixels, alpha = _split_alpha(np.frombuffer(samples, np.uint8).reshape(shape), header.mode)
    if alpha is None and jxl.read_header(data).extra_channels:
        raise UnsupportedImageError("JXL with a channel that is no alpha: it would be lost")
    box = jxl.box(data, b"Exif")
    # The offset of the TIFF structure comes first. The format's own orientation rules, and the
    # decoder has applied it.
    block = None if not box else exif.without_prefix(box[4 + int.from_bytes(box[:4], "big") :])
    return Photo(
        pixels=pixels,
        alpha=alpha,
        mode=header.mode,
        format="JXL",
        icc=jxl.stated_profile(icc),
        exif=None if block is None else exif.with_orientation(block, 1),
        xmp=jxl.box(data, b"xml ") or None,
    )


def _split_alpha(samples: U8Array, mode: str) -> tuple[U8Array, U8Array | None]:
    """Split interleaved samples into (H, W, C) colour and (H, W) alpha."""
    planes, has_alpha = MODES[mode]
    if not has_alpha:
        return samples, None
    return np.ascontiguousarray(samples[..., :planes]), np.ascontiguousarray(samples[..., planes])


def _mode_reason(mode: str) -> str:
    what = "16-bit samples" if mode.startswith("I;16") else _WHY_NOT.get(mode, f"mode {mode}")
    return f"{what}: {TOO_DEEP}"


def _refuse_what_would_be_lost(image: ImageFile, data: bytes) -> None:
    name = image.format
    if name == "MPO":
        raise UnsupportedImageError("JPEG of several pictures (MPO): only one would be carried")
    if getattr(image, "is_animated", False) or getattr(image, "n_frames", 1) > 1:
        what = "multi-page" if name in ("TIFF", "HEIF") else "animated"
        raise UnsupportedImageError(f"{what} {name}: only one picture would be carried")
    if name == "TIFF":
        tiff.check(image, data)
    elif name == "BMP":
        bmp.check(image, data)
    elif name == "AVIF":
        heif.check_avif(image, data)
    elif name == "HEIF":
        heif.check_heic(image)
    if image.mode not in MODES:
        raise UnsupportedImageError(_mode_reason(image.mode))
    if "transparency" in image.info:
        raise UnsupportedImageError("a transparent colour key: a restored colour would miss it")


def _xmp(image: ImageFile) -> bytes | None:
    xmp = image.info.get("xmp")
    if isinstance(xmp, str):
        xmp = xmp.encode()
    return xmp if isinstance(xmp, bytes) and xmp else None


def _dpi(image: ImageFile) -> tuple[float, float] | None:
    dpi = image.info.get("dpi")
    if dpi is None:
        return None
    if image.format == "JPEG" and image.info.get("jfif_unit") not in (1, 2) and dpi == (72, 72):
        return None  # what Pillow says when it does not know
    try:
        x, y = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if isfinite(x) and isfinite(y) and x > 0 and y > 0 else None
