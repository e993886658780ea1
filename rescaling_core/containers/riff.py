"""The chunks of a RIFF file: WebP.

Source: https://developers.google.com/speed/webp/docs/riff_container.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from rescaling_core.containers.parts import (
    METADATA,
    PIXELS,
    STRUCTURE,
    UNKNOWN,
    Kind,
    Part,
    framed,
    tiled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER: Final = 12
"""Bytes: `RIFF`, the length, `WEBP`."""
_KINDS: Final[dict[bytes, tuple[Kind, str]]] = {
    b"VP8X": (STRUCTURE, "VP8X"),
    b"VP8 ": (PIXELS, "VP8"),
    b"VP8L": (PIXELS, "VP8L"),
    b"ALPH": (PIXELS, "ALPH"),
    b"ANIM": (PIXELS, "ANIM"),
    b"ANMF": (PIXELS, "ANMF"),
    b"ICCP": (METADATA, "icc"),
    b"EXIF": (METADATA, "exif"),
    b"XMP ": (METADATA, "xmp"),
    b"XMP\0": (METADATA, "xmp"),  # as some writers name it
}
_PICTURES: Final = (b"VP8 ", b"VP8L")
_EXTENDED: Final = 10
"""Bytes of an extended header."""
_FLAGS: Final = {b"ALPH": 0x10, b"ANIM": 0x02, b"ANMF": 0x02}
"""What the extended header says where there are such chunks."""


def walk(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, offset of the content, length) of the chunks.

    Raises:
        ValueError: A chunk reaches past the end of the file.
    """
    at, stop = _HEADER, _stop(data)
    while at + 8 <= stop:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > stop:
            raise ValueError("WebP: a chunk reaches past the end of the file")
        yield data[at : at + 4], at + 8, length
        at += 8 + length + length % 2


def parts(data: bytes) -> list[Part]:
    """Every byte of a WebP.

    Only the first chunk of each type is understood: a second one is unknown, and so are the bytes
    behind the length that the file states. Alpha and frames are part of the picture where the
    header says that there are such; else no decoder looks at them.

    Raises:
        ValueError: A chunk reaches past the end of the file.
    """
    found = [Part(STRUCTURE, "RIFF header", 0, _HEADER)]
    seen: set[str] = set()
    chunks = list(walk(data))
    flags = next((data[at] for kind, at, n in chunks if kind == b"VP8X" and n == _EXTENDED), 0)
    if not any(kind == b"VP8 " for kind, _, _ in chunks):
        flags &= ~_FLAGS[b"ALPH"]  # other pictures have alpha of their own
    for kind, at, length in chunks:
        role, name = _KINDS.get(kind, (UNKNOWN, f"chunk {kind.decode('latin-1')}"))
        again = name in seen and kind != b"ANMF"
        again = again or (kind in _PICTURES and bool(seen & {"VP8", "VP8L"}))
        wrong = kind in _FLAGS and not flags & _FLAGS[kind]
        if again or wrong or (kind == b"VP8X" and length != _EXTENDED):
            role, name = UNKNOWN, f"chunk {kind.decode('latin-1')}"
        seen.add(name)
        found += framed(Part(role, name, at, length), 8)
    return tiled(found, data)


def picture_size(data: bytes) -> tuple[int, int]:
    """(width, height) as the first chunk of a WebP states them.

    Raises:
        ValueError, struct.error: The header is damaged, or its first chunk is of no known kind.

    Source: the container specification; RFC 6386, 9.1; the WebP lossless bitstream
    specification, 3.
    """
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = data[24:27], data[27:30]
        if len(height) < 3:
            raise ValueError("truncated header")
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        w, h = struct.unpack_from("<HH", data, 26)
        return w & 0x3FFF, h & 0x3FFF
    raise ValueError(f"unknown first chunk {kind!r}")


def with_length(data: bytes) -> bytes:
    """The file with the length in its header that it has."""
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def extended(data: bytes) -> bytes:
    """A WebP with the extended header, without which it may hold nothing but its picture.

    Raises:
        ValueError, struct.error: As `picture_size`.

    Source: the WebP container specification, "Extended file format".
    """
    kind = data[12:16]
    if kind == b"VP8X":
        return data
    width, height = picture_size(data)
    alpha = data[24] >> 4 & 1 if kind == b"VP8L" else 0
    header = struct.pack("<II", 10, alpha << 4)
    header += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    whole: bytes = data[:12] + b"VP8X" + header + data[12:]
    return whole


def _stop(data: bytes) -> int:
    return min(len(data), 8 + int.from_bytes(data[4:8], "little"))
