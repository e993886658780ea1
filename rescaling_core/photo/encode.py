"""Photo → file bytes: the restored file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image, PngImagePlugin

from rescaling_core.errors import CodecError
from rescaling_core.photo import exif

if TYPE_CHECKING:
    from rescaling_core.photo.record import Photo

_EXTENSIONS: Final = {"PNG": ".png", "TIFF": ".tif", "JPEG": ".jpg"}


def restored_extension(format: str = "PNG") -> str:
    """The extension, with its dot, of what `encode_photo` writes."""
    return _EXTENSIONS[format]


def encode_photo(photo: Photo, *, format: str = "PNG") -> bytes:
    """Write a photo in its mode, with all that travels with it.

    Args:
        photo: What to write.
        format: `PNG` or `TIFF`, both lossless, or `JPEG` with the source's own tables.

    Raises:
        CodecError: The format cannot hold the photo.
    """
    if format not in _EXTENSIONS:
        raise CodecError(f"format {format}: restored files are written as PNG, TIFF or JPEG")
    if format == "JPEG" and photo.alpha is not None:
        raise CodecError("JPEG holds no alpha: restore to PNG or TIFF")
    options: dict[str, Any] = {"icc_profile": photo.icc}
    if photo.dpi is not None:
        options["dpi"] = photo.dpi
    if photo.exif:
        options["exif"] = exif.PREFIX + photo.exif
    options |= {"PNG": _png_options, "TIFF": _tiff_options, "JPEG": _jpeg_options}[format](photo)
    buffer = io.BytesIO()
    try:
        as_image(photo).save(buffer, format, **options)
    except (OSError, ValueError) as error:
        raise CodecError(f"cannot write {format}: {error}") from error
    if format == "JPEG":
        buffer.write(photo.traits.trailer)
    return buffer.getvalue()


def as_image(photo: Photo) -> Image.Image:
    """Pillow's image of the pixels and alpha."""
    samples = photo.pixels
    if photo.alpha is not None:
        samples = np.concatenate((samples, photo.alpha[..., None]), axis=2)
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _png_options(photo: Photo) -> dict[str, Any]:
    chunks = PngImagePlugin.PngInfo()
    if photo.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", photo.xmp)
    for kind, data in photo.traits.png_chunks:
        chunks.add(kind.encode("latin-1"), data)
    return {"pnginfo": chunks}


def _tiff_options(photo: Photo) -> dict[str, Any]:
    tags: dict[int, bytes] = {}
    if photo.xmp:
        tags[700] = photo.xmp
    if photo.traits.iptc:
        tags[33723] = photo.traits.iptc
    return {"tiffinfo": tags, "compression": "tiff_adobe_deflate"}


def _jpeg_options(photo: Photo) -> dict[str, Any]:
    options: dict[str, Any] = {"xmp": photo.xmp}
    traits = photo.traits.jpeg
    if traits is None:
        return options | {"quality": 95, "subsampling": "4:4:4"}
    options |= {
        "qtables": [list(table) for table in traits.quantisation],
        "progressive": traits.progressive,
        "extra": traits.segments,
    }
    if traits.subsampling:
        options["subsampling"] = traits.subsampling
    return options
