"""BMP sources: colours, a fourth byte per pixel that may be alpha, bytes between and behind."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.containers import bmp
from rescaling_core.containers.parts import METADATA, UNKNOWN
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.foreign import foreign_of, refuse_too_much
from rescaling_core.photo.opening import open_image
from rescaling_core.photo.record import Photo, Traits
from rescaling_core.photo.sources.shared import load, named, refuse_mode, stated_dpi

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from rescaling_core.containers.bmp import BmpHeader
    from rescaling_core.photo.sources.shared import Limits

_SRGB: Final = (b"", b"BGRs", b" niW")
"""Colour spaces that viewers take for sRGB: none is stated, sRGB, that of Windows."""
_UNIT: Final = 2**30
"""One, in the fixed-point numbers of the endpoints."""
_SRGB_ENDPOINTS: Final = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""x and y of red, green and blue."""


def decode(data: bytes, limits: Limits) -> Photo:
    """Decode a BMP.

    Raises:
        UnreadableImageError: It ends early.
        UnsupportedImageError: It would lose something; the message says what.
    """
    header = bmp.read_header(data)
    with open_image(data, max_pixels=limits.max_pixels) as image:
        refuse_mode(image)
        _refuse_fourth_channel(image, header, data)
        _refuse_padding(header, data)
        parts = bmp.parts(data)
        sizes = [part.length for part in parts if part.kind in (METADATA, UNKNOWN)]
        refuse_too_much(sizes, limits.max_carried)
        _refuse_colours(header)
        foreign = foreign_of(data, parts)
        pixels, alpha = load(image)
        return Photo(
            pixels=pixels,
            alpha=alpha,
            mode=image.mode,
            format="BMP",
            icc=named(parts, data, "icc"),
            dpi=_dpi(header, data),
            traits=Traits(foreign=foreign),
        )


def _refuse_fourth_channel(image: ImageFile, header: BmpHeader, data: bytes) -> None:
    """A 32-bit BMP without an alpha mask whose fourth bytes are in use all the same."""
    if image.mode == "RGB" and header.bits == 32:
        start = header.start
        if set(data[start + 3 : start + 4 * image.width * image.height : 4]) - {0, 255}:
            raise UnsupportedImageError("a fourth channel that may be alpha: it would be lost")


def _refuse_padding(header: BmpHeader, data: bytes) -> None:
    """Bytes that fill rows up to a multiple of four, and are not zero."""
    if header.compression not in bmp.UNCOMPRESSED or header.row_bytes == header.stride:
        return
    rows = np.frombuffer(data[header.start : header.start + header.pixel_bytes], np.uint8)
    if rows.size == header.pixel_bytes and rows.size:
        padding = rows.reshape(header.height, header.stride)[:, header.row_bytes :]
        if padding.any():
            raise UnsupportedImageError("bytes between the rows: they would be lost")


def _refuse_colours(header: BmpHeader) -> None:
    """Colours that neither sRGB nor an embedded profile states."""
    if header.header_length not in bmp.KNOWN_HEADERS:
        raise UnsupportedImageError(
            f"BMP of a layout that cannot be read here: a header of {header.header_length} bytes"
        )
    if header.colour_space in _SRGB or header.colour_space == bmp.EMBEDDED:
        return
    if header.colour_space == b"\0\0\0\0":
        if not header.endpoints.strip(b"\0"):
            return  # calibrated, says the header, but it states nothing
        if _close_to_srgb(header.endpoints):
            return
        raise UnsupportedImageError("colours that only BMP can state: the LR image would lack them")
    raise UnsupportedImageError(
        f"colours of a space {header.colour_space[::-1]!r}: the LR image would lack them"
    )


def _close_to_srgb(endpoints: bytes) -> bool:
    values = struct.unpack("<9i3I", endpoints)
    stated = [values[i] / _UNIT for i in (0, 1, 3, 4, 6, 7)]
    gammas = [value / 65536 for value in values[9:]]
    return all(abs(a - b) < 0.002 for a, b in zip(stated, _SRGB_ENDPOINTS, strict=True)) and all(
        abs(gamma - 2.2) < 0.05 for gamma in gammas
    )


def _dpi(header: BmpHeader, data: bytes) -> tuple[float, float] | None:
    if header.header_length == bmp.OS2_HEADER:
        return None
    x, y = struct.unpack_from("<2l", data, 38)
    return stated_dpi(x / 39.3701, y / 39.3701)
