"""The parts of a BMP.

Source: Microsoft, BITMAPFILEHEADER, BITMAPINFOHEADER, BITMAPV4HEADER and BITMAPV5HEADER.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from rescaling_core.containers.parts import METADATA, PIXELS, STRUCTURE, Part, tiled, uncovered

FILE_HEADER: Final = 14
OS2_HEADER: Final = 12
V4_HEADER: Final = 108
V5_HEADER: Final = 124
EMBEDDED: Final = b"DEBM"
"""The colour space of a file with a profile in it."""
KNOWN_HEADERS: Final = (OS2_HEADER, 40, 52, 56, V4_HEADER, V5_HEADER)
"""Lengths of the headers that are understood."""
_RESERVED: Final = range(6, 10)
UNCOMPRESSED: Final = (0, 3, 6)
"""Codes of layouts without compression: plain, with masks, with an alpha mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BmpHeader:
    """What a BMP states about itself."""

    header_length: int
    """Bytes of the second header, which tells its version."""
    start: int
    """Offset of the pixels."""
    width: int
    height: int
    """Positive, whichever way up the rows lie."""
    bits: int
    """Per pixel."""
    compression: int
    image_bytes: int
    """As stated; 0 where the writer left it out."""
    colour_space: bytes = b""
    """Four characters in the order of the file, so `BGRs` is sRGB; empty before version 4."""
    endpoints: bytes = b""
    """48 bytes of calibrated primaries and gammas; empty before version 4."""
    profile: tuple[int, int] = (0, 0)
    """Offset and length of an embedded profile; both 0 if there is none."""

    @property
    def row_bytes(self) -> int:
        """Bytes of pixels in a row, without its padding."""
        return (self.width * self.bits + 7) // 8

    @property
    def stride(self) -> int:
        """Bytes from a row to the next."""
        return (self.width * self.bits + 31) // 32 * 4

    @property
    def pixel_bytes(self) -> int:
        """Bytes that the pixels take."""
        if self.compression in UNCOMPRESSED:
            return self.stride * self.height
        return self.image_bytes


def read_header(data: bytes) -> BmpHeader:
    """Read both headers.

    Raises:
        ValueError: The file is too short for them.
    """
    if len(data) < FILE_HEADER + 4:
        raise ValueError("BMP: truncated header")
    start, length = struct.unpack_from("<LL", data, 10)
    if len(data) < FILE_HEADER + length or length < OS2_HEADER:
        raise ValueError("BMP: truncated header")
    if length == OS2_HEADER:
        width, height, _, bits = struct.unpack_from("<4H", data, 18)
        return BmpHeader(
            header_length=length, start=start, width=width, height=height,
            bits=bits, compression=0, image_bytes=0,
        )  # fmt: skip
    if length < 16:
        raise ValueError(f"BMP: a header of {length} bytes")
    # OS/2 may end it behind the bits of a pixel; what is not there is zero.
    known = data[18 : FILE_HEADER + min(length, 24)].ljust(20, b"\0")
    width, height, _, bits, compression, image_bytes = struct.unpack("<2l2H2L", known)
    profile = (0, 0)
    if length >= V5_HEADER:
        at, profile_bytes = struct.unpack_from("<2L", data, FILE_HEADER + 112)
        if profile_bytes and data[70:74] == EMBEDDED:
            profile = (FILE_HEADER + at, profile_bytes)
    has_space = length >= V4_HEADER
    return BmpHeader(
        header_length=length,
        start=start,
        width=abs(width),
        height=abs(height),
        bits=bits,
        compression=compression,
        image_bytes=image_bytes,
        colour_space=data[70:74] if has_space else b"",
        endpoints=data[74:122] if has_space else b"",
        profile=profile,
    )


def parts(data: bytes) -> list[Part]:
    """Every byte of a BMP.

    Raises:
        ValueError: The header is truncated.
    """
    header = read_header(data)
    length = FILE_HEADER + header.header_length
    if header.header_length == 40 and header.compression in (3, 6):
        length += 12 if header.compression == 3 else 16  # masks lie behind the header
    if header.bits <= 8:
        length = max(length, header.start)  # the palette
    found = [
        Part(STRUCTURE, "header", 0, _RESERVED.start),
        uncovered(data, _RESERVED.start, _RESERVED.stop, "reserved bytes"),
        Part(STRUCTURE, "header", _RESERVED.stop, length - _RESERVED.stop),
        Part(PIXELS, "pixels", header.start, header.pixel_bytes),
        Part(METADATA, "icc", *header.profile),
    ]
    return tiled(found, data)
