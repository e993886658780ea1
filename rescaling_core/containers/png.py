"""The chunks of a PNG.

Source: W3C, Portable Network Graphics, third edition.
"""

from __future__ import annotations

import struct
import zlib
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
    from collections.abc import Iterable

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD: Final = b"XML:com.adobe.xmp\0"
ANIMATION: Final = frozenset((b"acTL", b"fcTL", b"fdAT"))
"""Chunks of an animated PNG, wherever they lie."""
GAIN_MAP: Final = frozenset((b"gMAP", b"gDAT"))
"""Chunks proposed for gain maps."""
PICTURE: Final = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", *ANIMATION, *GAIN_MAP))
"""Chunks that make the picture: none of them is carried from one file to another."""

_TEXT: Final = frozenset((b"tEXt", b"zTXt", b"iTXt"))
_ONCE: Final = frozenset(
    (b"cHRM", b"gAMA", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"bKGD", b"pHYs", b"tIME")
) | frozenset((b"oFFs", b"pCAL", b"sCAL", b"sTER"))
"""Chunks of which a file has one, and that hold for the restored pixels as well."""
_MANY: Final = _TEXT | {b"sPLT"}
_ROLES: Final[dict[bytes, tuple[Kind, str]]] = {
    b"IHDR": (STRUCTURE, "IHDR"),
    b"IEND": (STRUCTURE, "IEND"),
    b"iDOT": (STRUCTURE, "iDOT"),  # Apple's: where the IDAT chunks may be cut
    b"tRNS": (PIXELS, "tRNS"),
    b"iCCP": (METADATA, "icc"),
    b"eXIf": (METADATA, "exif"),
}
_LENGTHS: Final = {b"IHDR": 13, b"IEND": 0, b"iDOT": 28}
"""Bytes that these hold, all of them structure."""
_HEADER_END: Final = 33
"""Offset behind the signature and the header chunk, which are of fixed length."""


def walk(data: bytes) -> list[tuple[bytes, int, int]]:
    """List the chunks as (type, offset of the data, length), up to the end chunk.

    Raises:
        ValueError: The file ends before its end chunk.
    """
    found = []
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        kind = data[at + 4 : at + 8]
        found.append((kind, at + 8, length))
        if kind == b"IEND":
            return found
        at += 12 + length
    raise ValueError("PNG: truncated: it ends before its end chunk")


def wrong_checksum(data: bytes) -> bytes | None:
    """The type of the first chunk whose check sum does not match; None if all do.

    Raises:
        ValueError: The file ends before its end chunk.
    """
    view = memoryview(data)
    for kind, at, length in walk(data):
        stated = int.from_bytes(data[at + length : at + length + 4], "big")
        if zlib.crc32(view[at - 4 : at + length]) != stated:
            return kind
    return None


def parts(data: bytes) -> list[Part]:
    """Every byte of a PNG.

    The name of a chunk that is carried as it is (text, say) is its type. Of kinds that may be
    there once, a second one is unknown, and so is every chunk whose type is not known.

    Raises:
        ValueError: The file ends before its end chunk.
    """
    found = [Part(STRUCTURE, "signature", 0, len(SIGNATURE))]
    seen: set[str] = set()
    for kind, at, length in walk(data):
        role, name = _role(kind, data, at, length)
        if name in seen and name == "xmp":
            name = "iTXt"  # a second packet is a text like others
        elif name in seen and kind not in _MANY and role != PIXELS:
            role, name = UNKNOWN, kind.decode("latin-1")
        seen.add(name)
        found += framed(Part(role, name, at, length), 8, 4)
    return tiled(found, data)


def _role(kind: bytes, data: bytes, at: int, length: int) -> tuple[Kind, str]:
    name = kind.decode("latin-1")
    if kind == b"iTXt" and is_plain_xmp(data, at):
        return METADATA, "xmp"
    if kind == b"PLTE":  # of a picture in colour, it only suggests how to show it in few
        return (PIXELS if data[25] == 3 else UNKNOWN), name
    if kind == b"IDAT" or kind in ANIMATION:
        return PIXELS, name
    if kind in _LENGTHS and length != _LENGTHS[kind]:  # there is something else in it
        return UNKNOWN, name
    if kind in _ROLES:
        return _ROLES[kind]
    if kind in _ONCE or kind in _MANY or (kind.isalpha() and is_carried(name)):
        return METADATA, name
    return UNKNOWN, name


def is_plain_xmp(data: bytes, at: int) -> bool:
    """Whether an `iTXt` chunk is XMP with neither a language nor a translated keyword."""
    start = at + len(XMP_KEYWORD)
    return data.startswith(XMP_KEYWORD, at) and data[start + 1 : start + 4] == b"\0\0\0"


def is_carried(name: str) -> bool:
    """Whether a chunk of that type may be put into a file with other pixels as it is.

    Those are the ancillary ones that are known here to be independent of how pixels are coded, and
    those that call themselves safe to copy. Source: section 14.2 of the specification.
    """
    kind = name.encode("latin-1", "replace")
    if len(kind) != 4 or not (kind.isalpha() and kind.isascii()):
        return False
    if kind in PICTURE or kind in (b"iCCP", b"eXIf") or not kind[:1].islower():
        return False
    return kind in _ONCE or kind in _MANY or kind[3:].islower()


def may_be_added(name: str) -> bool:
    """Whether a chunk can be put into a file without changing how its picture is seen or read.

    Wider than `is_carried`, as files of older writers hold other ancillary chunks too.
    """
    kind = name.encode("latin-1", "replace")
    return (
        len(kind) == 4
        and kind.isalpha()
        and kind.isascii()
        and kind[:1].islower()
        and kind not in PICTURE
        and kind not in (b"iCCP", b"eXIf")
    )


def of_picture(data: bytes) -> bytes:
    """The same file with the chunks that make the picture alone.

    Raises:
        ValueError: The file ends before its end chunk.
    """
    kept = [data[at - 8 : at + n + 4] for kind, at, n in walk(data) if kind in PICTURE]
    return b"".join((SIGNATURE, *kept))


def with_chunks(data: bytes, added: Iterable[tuple[str, bytes]]) -> bytes:
    """Put chunks right behind the header, where every kind may stand."""
    written = b"".join(chunk(kind.encode("latin-1"), content) for kind, content in added)
    return data[:_HEADER_END] + written + data[_HEADER_END:]


def with_checksum(data: bytearray, changed: int) -> None:
    """Write the check sum of the chunk around an offset again."""
    for _, at, length in walk(bytes(data)):
        if at <= changed < at + length:
            data[at + length : at + length + 4] = zlib.crc32(data[at - 4 : at + length]).to_bytes(
                4, "big"
            )


def chunk(kind: bytes, content: bytes) -> bytes:
    """A whole chunk."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + zlib.crc32(kind + content).to_bytes(4, "big")
    )


def xmp_chunk(packet: bytes) -> tuple[str, bytes]:
    """The chunk of an XMP packet."""
    return "iTXt", XMP_KEYWORD + b"\0\0\0\0" + packet


def raw_profile(kind: str, content: bytes) -> tuple[str, bytes]:
    """Metadata that PNG has no chunk for, the way ImageMagick writes and ExifTool reads it.

    Source: https://exiftool.org/TagNames/PNG.html, "Raw profile type".
    """
    digits = content.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = f"\n{kind}\n{len(content):8d}\n{lines}\n".encode("ascii")
    return "zTXt", f"Raw profile type {kind}".encode("ascii") + b"\0\0" + zlib.compress(text)


def text_of(content: bytes, limit: int) -> bytes:
    """The text of a plain XMP chunk.

    Args:
        content: Of the `iTXt` chunk.
        limit: Bytes that it may unpack to.

    Raises:
        ValueError: It is damaged or larger.
    """
    start = len(XMP_KEYWORD)
    text = content[start + 4 :]
    return unpacked(text, limit) if content[start] else text


def profile_of(content: bytes, limit: int) -> bytes:
    """The profile of an `iCCP` chunk.

    Args:
        content: Of the chunk.
        limit: Bytes that it may unpack to.

    Raises:
        ValueError: It is damaged or larger.
    """
    return unpacked(content[content.index(b"\0") + 2 :], limit)


def unpacked(packed: bytes, limit: int) -> bytes:
    """What a zlib stream holds.

    Raises:
        ValueError: It is damaged, or holds more than `limit` bytes.
    """
    stream = zlib.decompressobj()
    try:
        value = stream.decompress(packed, limit + 1)
    except zlib.error as error:
        raise ValueError(f"compressed data are damaged: {error}") from error
    if len(value) > limit:
        raise ValueError(f"compressed data hold more than {limit} bytes")
    if not stream.eof or stream.unused_data:
        raise ValueError("compressed data are damaged: they end early, or not where they should")
    return value
