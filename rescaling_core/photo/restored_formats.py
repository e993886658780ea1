"""Restored files in other formats than PNG, each read back before it is believed.

What a format holds byte for byte lies in the file itself. Whatever of the rest does not come back
the same from there lies in the zip beside it, so that nothing depends on the format that was
chosen.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from rescaling_core.containers import exif, tiff_file
from rescaling_core.containers.icc import means_srgb
from rescaling_core.containers.tiff import ICC, IPTC, XMP, Tiff
from rescaling_core.errors import CodecError, PhotoError
from rescaling_core.photo.beside import CHUNK, parts_beside
from rescaling_core.photo.decode import decode_photo
from rescaling_core.photo.encode import added_chunks, as_image
from rescaling_core.photo.record import Foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rescaling_core.photo.record import Photo

RestoredFormat = Literal["source", "png", "tiff", "webp", "jxl"]
"""`source`: the source's own where that holds the restored picture without loss, PNG if not."""

EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "png": (".png",),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
    "jxl": (".jxl",),
    "bmp": (".bmp", ".dib"),
}
"""What files of each format are called, the usual one first."""

_OWN: Final = {"PNG": "png", "TIFF": "tiff", "WEBP": "webp", "JXL": "jxl", "BMP": "bmp"}
"""Formats without loss, by Pillow's name of the source's."""

_ANY: Final = 2**30
"""Bytes: more than any photo carries."""

_JXL_EFFORT: Final = 4
"""Of 1 to 9: the usual 7 takes ten times as long as writing a PNG does."""

_WEBP_EFFORT: Final = 2
"""Of 0 to 6, for the same reason."""


@dataclass(frozen=True, slots=True)
class WrittenAs:
    """A restored picture in a format, and what that has no place for."""

    data: bytes
    format: str
    """A key of `EXTENSIONS`."""
    beside: tuple[Foreign, ...]


def own_format(format: str) -> str:
    """The format that a source of a format is restored to as its own; `png` where that has loss.

    Args:
        format: Pillow's name, such as `TIFF`.
    """
    return _OWN.get(format, "png")


def written_as(photo: Photo, format: str) -> WrittenAs:
    """Write a restored photo in a format other than PNG.

    Args:
        photo: The restored photo.
        format: A key of `EXTENSIONS`.

    Raises:
        CodecError: The format cannot hold the picture, or does not give its samples back.
    """
    try:
        data = _WRITERS[format](photo)
        back = decode_photo(data, max_pixels=photo.width * photo.height, max_carried=_ANY)
    except (OSError, ValueError, OverflowError, RuntimeError, PhotoError) as error:
        raise CodecError(f"cannot write {format}: {error}: restore to PNG") from error
    if back.mode != photo.mode or not _same(back, photo):
        raise CodecError(f"{format} does not give back a picture of mode {photo.mode}: use PNG")
    return WrittenAs(data, format, _not_held(photo, back))


def _same(back: Photo, photo: Photo) -> bool:
    pairs = ((back.pixels, photo.pixels), (back.alpha, photo.alpha))
    return all(a is b if a is None or b is None else np.array_equal(a, b) for a, b in pairs)


def _not_held(photo: Photo, back: Photo) -> tuple[Foreign, ...]:
    """All that a photo carries and its file, read back, does not."""
    beside = []
    for name in ("icc", "exif", "xmp"):
        value: bytes | None = getattr(photo, name)
        if value is not None and value != getattr(back, name):
            beside.append(Foreign(name, None, value))
    if photo.dpi is not None and (
        back.dpi is None or not np.allclose(back.dpi, photo.dpi, rtol=1e-3)
    ):
        beside.append(Foreign("dpi", None, "{:.6g} {:.6g}".format(*photo.dpi).encode()))
    holds_iptc = photo.traits.iptc is not None and back.traits.iptc == photo.traits.iptc
    for kind, content in added_chunks(photo):
        is_iptc = content.startswith(b"Raw profile type iptc")
        if kind != CHUNK and not (is_iptc and holds_iptc):
            beside.append(Foreign(f"PNG chunk {kind}", None, content))
    return (*beside, *parts_beside(photo))


def _tiff(photo: Photo) -> bytes:
    image = photo.pixels
    if photo.alpha is not None:
        image = np.concatenate((image, photo.alpha[..., None]), axis=2)
    try:
        return tiff_file.file_of(image, _tags(photo, photo.exif), photo.exif)
    except ValueError:  # a damaged EXIF block: it comes back beside the file
        return tiff_file.file_of(image, _tags(photo, None))


def _tags(photo: Photo, block: bytes | None) -> dict[int, tuple[int, bytes]]:
    """What a TIFF holds beside the tags of an EXIF block."""
    held = Tiff(block).first.entries if block else ()
    order = Tiff(block).order if block else "<"
    tags: dict[int, tuple[int, bytes]] = {}
    if photo.icc:
        tags[ICC] = tiff_file.UNDEFINED, photo.icc
    if photo.xmp:
        tags[XMP] = tiff_file.BYTE, photo.xmp
    if photo.traits.iptc:
        tags[IPTC] = tiff_file.UNDEFINED, photo.traits.iptc
    if photo.orientation != 1:
        tags[274] = tiff_file.SHORT, struct.pack(order + "H", photo.orientation)
    if photo.dpi and all(one.tag != 282 for one in held):
        for tag, value in zip((282, 283), photo.dpi, strict=True):
            scaled = struct.pack(order + "2L", round(min(value, 2**20) * 4096), 4096)
            tags[tag] = tiff_file.RATIONAL, scaled
        tags[296] = tiff_file.SHORT, struct.pack(order + "H", 2)
    return tags


def _webp(photo: Photo) -> bytes:
    if photo.mode in ("L", "LA"):
        raise CodecError("WebP holds no grey: restore to PNG")
    options = {"lossless": True, "exact": True, "quality": 50, "method": _WEBP_EFFORT}
    return _saved(photo, "WEBP", _usual(photo) | options | {"xmp": photo.xmp or b""})


def _jxl(photo: Photo) -> bytes:
    if photo.icc is not None and not means_srgb(photo.icc):
        raise CodecError("JPEG XL: its encoder embeds no colour profile: restore to PNG")
    if photo.orientation != 1:
        raise CodecError("JPEG XL: its encoder states no orientation: restore to PNG")
    options = {"lossless": True, "effort": _JXL_EFFORT, "use_container": True}
    return _saved(photo, "JXL", options | {"exif": photo.exif or b"", "xmp": photo.xmp})


def _bmp(photo: Photo) -> bytes:
    if photo.alpha is not None:
        raise CodecError("BMP has no alpha that all readers see: restore to PNG")
    return _saved(photo, "BMP", {"dpi": photo.dpi} if photo.dpi else {})


def _usual(photo: Photo) -> dict[str, Any]:
    options: dict[str, Any] = {"icc_profile": photo.icc} if photo.icc else {}
    if photo.exif:
        options["exif"] = exif.PREFIX + photo.exif
    if photo.dpi:
        options["dpi"] = photo.dpi
    return options


def _saved(photo: Photo, format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image = as_image(photo)
    try:
        image.save(buffer, format, **options)
    except KeyError as error:
        raise CodecError(f"{format} cannot be written by this installation") from error
    return buffer.getvalue()


_WRITERS: Final[Mapping[str, Callable[[Photo], bytes]]] = {
    "tiff": _tiff,
    "webp": _webp,
    "jxl": _jxl,
    "bmp": _bmp,
}
