"""File bytes → Photo, or the reason why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.foreign import DEFAULT_MAX_CARRIED, refuse_too_much
from rescaling_core.photo.opening import decoder_errors, identify
from rescaling_core.photo.record import Reduced
from rescaling_core.photo.sources import bmp, heif, jpeg, jxl, png, tiff, webp
from rescaling_core.photo.sources.shared import Limits, mode_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rescaling_core.photo.record import Photo

DEFAULT_MAX_PIXELS: Final = 200_000_000

_SOURCES: Final[Mapping[str, Callable[[bytes, Limits], Photo]]] = {
    "JPEG": jpeg.decode,
    "PNG": png.decode,
    "WEBP": webp.decode,
    "AVIF": heif.decode,
    "HEIF": heif.decode,
    "JXL": jxl.decode,
    "TIFF": tiff.decode,
    "BMP": bmp.decode,
}


def decode_photo(
    data: bytes,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    max_carried: int = DEFAULT_MAX_CARRIED,
) -> Photo:
    """Decode a source, and account for every byte of it.

    Args:
        data: The whole file.
        max_pixels: Width × height above which it counts as a decompression bomb; checked before
            pixels are decoded.
        max_carried: Bytes of metadata and other data beside the picture, unpacked, above which
            the source is kept.

    Returns:
        Pixels as stored and all that travels with them, what is not understood too.

    Raises:
        UnreadableImageError: Empty, truncated, damaged, or not an image; a decoder's warning
            counts as damage.
        ImageTooLargeError: More than `max_pixels`. Pillow by itself refuses TIFF and WebP above
            178,956,970.
        UnsupportedImageError: A sound image that cannot be carried without loss; the message is
            the reason why it is kept.
    """
    name = identify(data)
    with decoder_errors(name):
        if name == "GIF":
            raise UnsupportedImageError(mode_reason("P"))
        photo = _SOURCES[name](data, Limits(max_pixels, max_carried))
    refuse_too_much(carried_sizes(photo), max_carried)
    return photo


def decode_reduced(
    data: bytes,
    at_least: int,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    max_carried: int = DEFAULT_MAX_CARRIED,
) -> Reduced:
    """Decode a source for smaller pictures of it; all is checked and refused as by `decode_photo`.

    Args:
        data: The whole file.
        at_least: Pixels of the longer side that will do. Decoders that can leave out what is beyond
            (that of JPEG) do.
        max_pixels: As for `decode_photo`.
        max_carried: As for `decode_photo`.

    Raises:
        PhotoError: As for `decode_photo`.
    """
    if identify(data) != "JPEG":
        return Reduced.whole(decode_photo(data, max_pixels=max_pixels, max_carried=max_carried))
    with decoder_errors("JPEG"):
        reduced = jpeg.decode_reduced(data, Limits(max_pixels, max_carried), at_least)
    refuse_too_much(carried_sizes(reduced.photo), max_carried)
    return reduced


def carried_sizes(photo: Photo) -> list[int]:
    """Bytes of each thing that a photo carries beside pixels and alpha."""
    traits = photo.traits
    values = [photo.icc, photo.exif, photo.xmp, traits.iptc, traits.trailer]
    values += [content for _, content in traits.png_chunks]
    values += [part.data for part in traits.foreign]
    if traits.jpeg is not None:
        values.append(traits.jpeg.segments)
    return [len(value) for value in values if value]
