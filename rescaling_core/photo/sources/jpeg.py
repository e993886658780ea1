"""JPEG sources: every segment, what follows the picture, and what a strict decoder says of it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import simplejpeg

from rescaling_core.containers import jpeg
from rescaling_core.containers.parts import METADATA, UNKNOWN
from rescaling_core.errors import UnreadableImageError, UnsupportedImageError
from rescaling_core.photo.foreign import (
    foreign_of,
    refuse_gain_map,
    refuse_pictures,
    refuse_too_much,
)
from rescaling_core.photo.opening import open_image
from rescaling_core.photo.record import TOO_DEEP, JpegTraits, Photo, Reduced, Traits
from rescaling_core.photo.sources.shared import load, named, refuse_mode, stated_dpi

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.ImageFile import ImageFile

    from rescaling_core.containers.jpeg_tables import Segment
    from rescaling_core.containers.parts import Part
    from rescaling_core.photo.sources.shared import Limits
    from rescaling_core.pixels.arrays import U8Array

_DCT: Final = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_HUFFMAN_SEQUENTIAL: Final = frozenset((0xC0, 0xC1))
_DHT: Final = 0xC4
_EMPTIED: Final = 64
"""Bytes of zeros in a row that no picture has: some 170 coefficients that are all -1."""
_SAMPLINGS: Final[dict[tuple[tuple[int, int], ...], str]] = {
    ((1, 1), (1, 1), (1, 1)): "4:4:4",
    ((2, 1), (1, 1), (1, 1)): "4:2:2",
    ((2, 2), (1, 1), (1, 1)): "4:2:0",
}
_CENTIMETRES: Final = 2.54
"""In an inch."""


def decode(data: bytes, limits: Limits) -> Photo:
    """Decode a JPEG.

    Raises:
        UnreadableImageError: It ends early, or a decoder warns about its compressed data.
        UnsupportedImageError: It would lose something; the message says what.
    """
    return _decoded(data, limits, None).photo


def decode_reduced(data: bytes, limits: Limits, at_least: int) -> Reduced:
    """Decode a JPEG at its size, or at a half, a quarter or an eighth of its sides.

    Args:
        data: The whole file.
        limits: What it may ask for.
        at_least: Pixels that have to be left of the longer side.

    Raises:
        UnreadableImageError: As for `decode`.
        UnsupportedImageError: As for `decode`.
    """
    return _decoded(data, limits, at_least)


def _decoded(data: bytes, limits: Limits, at_least: int | None) -> Reduced:
    found = list(jpeg.walk(data))
    for marker, start, end in found:
        if marker in jpeg.FRAMES:
            _check_frame(marker, data[start:end])
    try:
        parts = jpeg.parts(data, found)
    except ValueError as error:
        raise UnreadableImageError(str(error)) from error
    _check_profile(data, parts)
    sizes = [part.length for part in parts if part.kind in (METADATA, UNKNOWN)]
    foreign = foreign_of(data, [part for part in parts if not _is_segment(part, data)])
    segments = _segments(data, parts)
    xmp = named(parts, data, "xmp")
    refuse_gain_map(xmp)
    refuse_too_much(sizes, limits.max_carried)
    picture = jpeg.of_picture(data, parts)
    with open_image(picture, max_pixels=limits.max_pixels) as image:
        refuse_mode(image)
        traits = _traits(image, segments)
        (width, height), mode, divisor = image.size, image.mode, 1
        if at_least is None:
            _refuse_damage(picture)
            _refuse_emptied(data, parts, found)
            pixels, _ = load(image)
        else:
            divisor = _divisor(max(width, height), at_least)
            pixels = _halved(picture, image, divisor)
            _refuse_emptied(data, parts, found)
    photo = Photo(
        pixels=pixels,
        mode=mode,
        format="JPEG",
        icc=jpeg.profile(data, found),
        exif=named(parts, data, "exif"),
        xmp=xmp,
        dpi=_dpi(named(parts, data, "JFIF")),
        traits=Traits(jpeg=traits, foreign=foreign),
    )
    return Reduced(photo, width, height, divisor)


def _divisor(side: int, at_least: int) -> int:
    """By how much a side can be divided so that enough is left."""
    return next((by for by in (8, 4, 2) if side >= by * at_least), 1)


def _halved(picture: bytes, image: ImageFile, divisor: int) -> U8Array:
    """The pixels at 1 / divisor of the sides, from the low frequencies of each block.

    All of the compressed data is read, so that damage is found as `_refuse_damage` finds it.
    """
    width, height = image.size
    pixels = _strictly(
        picture,
        colorspace="GRAY" if image.mode == "L" else "RGB",
        min_height=-(-height // divisor),
        min_width=-(-width // divisor),
    )
    assert pixels.shape[:2] == (-(-height // divisor), -(-width // divisor))
    return pixels


def _check_frame(marker: int, payload: bytes) -> None:
    if marker not in _DCT:
        raise UnsupportedImageError("lossless or hierarchical JPEG: it cannot be decoded here")
    if payload[:1] not in (b"\x08", b""):
        raise UnsupportedImageError(f"{payload[0]}-bit samples: {TOO_DEEP}")
    if len(payload) > 5 and payload[5] not in (1, 3, 4):
        raise UnsupportedImageError(f"JPEG of {payload[5]} planes: they would be lost")


def _check_profile(data: bytes, parts: Sequence[Part]) -> None:
    """Refuse a colour profile whose segments do not fit together: viewers disagree about it.

    A second copy of a segment does no harm; it is carried.

    Raises:
        UnsupportedImageError: They do not fit.
    """
    understood = {part.of(data) for part in parts if part.kind == METADATA and part.name == "icc"}
    for part in parts:
        content = part.of(data)
        is_odd = part.kind == UNKNOWN and part.name == "APP2" and content.startswith(jpeg.ICC)
        if is_odd and content[len(jpeg.ICC) + 2 :] not in understood:
            raise UnsupportedImageError(
                "a colour profile whose parts do not fit together: "
                "the colours that are meant would be lost"
            )


def _is_segment(part: Part, data: bytes) -> bool:
    """Whether a part is a segment that a restored JPEG can hold as it is."""
    if part.name == "Photoshop" or part.name == "COM":
        return True
    is_app = part.kind == UNKNOWN and part.name.startswith("APP")
    return is_app and not data.startswith((jpeg.JFIF, jpeg.ADOBE), part.offset)


def _segments(data: bytes, parts: Sequence[Part]) -> bytes:
    """The segments that are not read into a field, whole, one after the other."""
    found = []
    for part in parts:
        if not _is_segment(part, data):
            continue
        if part.kind == UNKNOWN:
            refuse_pictures(data, part)
        prefix = len(jpeg.PHOTOSHOP) if part.name == "Photoshop" else 0
        found.append(data[part.offset - prefix - 4 : part.end])
    return b"".join(found)


def _refuse_damage(picture: bytes) -> None:
    """Refuse what libjpeg decodes but warns about: missing data, lost restart markers, noise.

    Pillow drops these warnings. An eighth of the size in grey is decoded, since the warnings come
    from the entropy-coded data, all of which is read for that too.

    Raises:
        UnreadableImageError: There is a warning.
        UnsupportedImageError: It is about bytes that do not belong to the picture, which may be
            damage or what a writer put there, or about a sampling of colours that it does not know.
    """
    _strictly(picture, colorspace="GRAY", min_height=1, min_width=1)


def _strictly(picture: bytes, **options: Any) -> U8Array:
    """Decode with a decoder whose warnings are errors; see `_refuse_damage`."""
    try:
        pixels: U8Array = simplejpeg.decode_jpeg(picture, min_factor=1, strict=True, **options)
    except ValueError as error:
        text = " ".join(str(error).split())
        if "extraneous bytes" in text:
            raise UnsupportedImageError(
                f"bytes inside the picture that are not part of it: {text}"
            ) from error
        if "Could not determine subsampling" in text:  # said of the header, of sound files too
            raise UnsupportedImageError(
                "colours sampled in a way that the decoder has no name for"
            ) from error
        raise UnreadableImageError(f"JPEG: damaged: the decoder warns: {text}") from error
    return pixels


def _refuse_emptied(data: bytes, parts: Sequence[Part], segments: Sequence[Segment]) -> None:
    """Refuse long runs of zeros in entropy-coded data, as a bad sector leaves them.

    A decoder may find its way behind them without a warning. They are sound where the code of
    zeros means "the rest of the block is empty" for each plane, as in blank pictures with tables of
    their own. Pictures of several scans are left to the decoder.

    Raises:
        UnreadableImageError: There is one.
    """
    first_codes: list[int] = []
    for marker, start, end in segments:
        if marker in jpeg.FRAMES and marker not in _HUFFMAN_SEQUENTIAL:
            return
        if marker == _DHT:
            first_codes += _first_codes(data[start:end])
    scans = [part for part in parts if part.name == "scan"]
    if len(scans) != 1 or not any(first_codes):
        return
    at = data.find(bytes(_EMPTIED), scans[0].offset, scans[0].end)
    if at >= 0:
        raise UnreadableImageError(
            f"JPEG: damaged: zeros in place of the picture's data at offset {at}"
        )


def _first_codes(tables: bytes) -> list[int]:
    """What the code of zeros alone means in each table of AC coefficients. T.81, B.2.4.2."""
    found, at = [], 0
    while at + 17 <= len(tables):
        count = sum(tables[at + 1 : at + 17])
        if tables[at] >> 4 == 1 and count:
            found.append(tables[at + 17])
        at += 17 + count
    return found


def _traits(image: ImageFile, segments: bytes) -> JpegTraits:
    """How a JPEG was written."""
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    samplings = tuple((h, v) for _, h, v, _ in getattr(image, "layer", ()))
    return JpegTraits(
        quantisation=tuple(tuple(tables[key]) for key in sorted(tables)),
        subsampling=_SAMPLINGS.get(samplings),
        progressive=bool(image.info.get("progressive")),
        segments=segments,
    )


def _dpi(jfif: bytes | None) -> tuple[float, float] | None:
    if jfif is None:
        return None
    unit, x, y = struct.unpack(">BHH", jfif[7:12])
    if unit not in (1, 2):
        return None
    factor = _CENTIMETRES if unit == 2 else 1
    return stated_dpi(x * factor, y * factor)
