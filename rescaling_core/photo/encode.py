"""Photo → file bytes: the restored file."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from rescaling_core.containers import exif, jpeg, png
from rescaling_core.errors import CodecError
from rescaling_core.photo.beside import CHUNK, parts_beside, text_of_comment, zipped

if TYPE_CHECKING:
    from rescaling_core.photo.record import Photo

_EXTENSIONS: Final = {"PNG": ".png", "JPEG": ".jpg"}


def restored_extension(format: str = "PNG") -> str:
    """The extension, with its dot, of what `encode_photo` writes."""
    return _EXTENSIONS[format]


def encode_photo(photo: Photo, *, format: str = "PNG", effort: int | None = None) -> bytes:
    """Write a photo in its mode, with all that travels with it.

    Args:
        photo: What to write.
        format: `PNG`, which is lossless, or `JPEG` with the source's own tables, which is not.
        effort: zlib's level for a PNG, 0 to 9, by default Pillow's; it decides nothing but bytes.

    Raises:
        CodecError: The format cannot hold the photo.
    """
    if format not in _EXTENSIONS:
        raise CodecError(f"format {format}: restored files are written as PNG or JPEG")
    if format == "JPEG" and photo.alpha is not None:
        raise CodecError("JPEG holds no alpha: restore to PNG")
    image = as_image(photo)
    options: dict[str, Any] = {"icc_profile": photo.icc}
    if photo.dpi is not None:
        options["dpi"] = photo.dpi
    if photo.exif:
        options["exif"] = exif.PREFIX + photo.exif
    if effort is not None:
        options["compress_level"] = effort
    write = {"PNG": _write_png, "JPEG": _write_jpeg}[format]
    try:
        return write(photo, image, options)
    except (OSError, ValueError, OverflowError, struct.error) as error:
        raise CodecError(f"cannot write {format}: {error}") from error


def as_image(photo: Photo) -> Image.Image:
    """Pillow's image of the pixels and alpha."""
    samples = photo.pixels
    if photo.alpha is not None:
        samples = np.concatenate((samples, photo.alpha[..., None]), axis=2)
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def added_chunks(photo: Photo) -> list[tuple[str, bytes]]:
    """The chunks of a restored PNG that Pillow does not write."""
    added = list(photo.traits.png_chunks)
    if photo.traits.iptc:
        added.append(png.raw_profile("iptc", photo.traits.iptc))
    if photo.traits.jpeg is not None:
        segments = photo.traits.jpeg.segments
        if resources := jpeg.photoshop_resources(segments):
            added.append(png.raw_profile("8bim", resources))
        added += filter(None, map(text_of_comment, jpeg.comments(segments)))
    if beside := parts_beside(photo):
        added.append((CHUNK, zipped(beside, photo.format)))
    return added


def _write_png(photo: Photo, image: Image.Image, options: dict[str, Any]) -> bytes:
    added = added_chunks(photo)
    if photo.xmp:  # before others of its kind, since the first one counts
        added.insert(0, png.xmp_chunk(photo.xmp))
    return png.with_chunks(_saved(image, "PNG", options), added)


def _write_jpeg(photo: Photo, image: Image.Image, options: dict[str, Any]) -> bytes:
    options["xmp"] = photo.xmp
    traits = photo.traits.jpeg
    if traits is None:
        return _saved(image, "JPEG", options | {"quality": 95, "subsampling": "4:4:4"})
    options["qtables"] = [list(table) for table in traits.quantisation]
    options["progressive"] = traits.progressive
    options["extra"] = traits.segments
    if traits.subsampling:
        options["subsampling"] = traits.subsampling
    behind = b"".join(part.data for part in photo.traits.foreign if part.name == "trailer")
    return _saved(image, "JPEG", options) + (behind or photo.traits.trailer)


def _saved(image: Image.Image, format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()
