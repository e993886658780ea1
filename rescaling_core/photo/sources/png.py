"""What PNG holds that Pillow does not tell: bit depth, check sums, chunks to carry."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from rescaling_core.errors import UnreadableImageError, UnsupportedImageError
from rescaling_core.photo.record import TOO_DEEP

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_READ_ELSEWHERE: Final = (b"tRNS", b"iCCP", b"eXIf")
_OF_ANIMATION: Final = (b"acTL", b"fcTL", b"fdAT")
_XMP: Final = b"XML:com.adobe.xmp\0"
_SRGB_GAMMA: Final = 45455
_SRGB_CHROMATICITIES: Final = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SRGB_CODE_POINTS: Final = bytes((1, 13, 0, 1))
_HEADER_END: Final = 33
"""Offset behind the signature and the header chunk, which are of fixed length."""


def chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """List the chunks as (type, offset of the data, length).

    Raises:
        UnreadableImageError: The file ends before its end chunk.
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
    raise UnreadableImageError("PNG: truncated: it ends before its end chunk")


def check(data: bytes) -> None:
    """Refuse a damaged PNG, and what Pillow would cut or a viewer of the LR image not know.

    Raises:
        UnreadableImageError: It ends early, or a check sum does not match.
        UnsupportedImageError: It has 16 bits per sample, or colours that only PNG can state.
    """
    found = chunks(data)
    view = memoryview(data)
    for kind, at, length in found:
        stated = int.from_bytes(data[at + length : at + length + 4], "big")
        if zlib.crc32(view[at - 4 : at + length]) != stated:
            raise UnreadableImageError(f"PNG: damaged: wrong check sum of chunk {kind!r}")
    if found[0][0] != b"IHDR" or found[0][2] != 13:
        raise UnreadableImageError("PNG: damaged: it does not start with its header")
    if data[24] == 16:
        raise UnsupportedImageError(f"16-bit samples: {TOO_DEEP}")
    _refuse_foreign_colours({kind: data[at : at + length] for kind, at, length in found})


def _refuse_foreign_colours(by_type: dict[bytes, bytes]) -> None:
    if by_type.get(b"cICP", _SRGB_CODE_POINTS) != _SRGB_CODE_POINTS:
        raise UnsupportedImageError(
            "colours stated by code points (cICP): the LR image would be taken for sRGB"
        )
    if b"iCCP" in by_type or b"sRGB" in by_type:
        return
    gamma, primaries = by_type.get(b"gAMA", b""), by_type.get(b"cHRM", b"")
    if len(gamma) == 4 and abs(int.from_bytes(gamma, "big") - _SRGB_GAMMA) > 500:
        raise UnsupportedImageError("a gamma that only PNG can state: the LR image would lack it")
    if len(primaries) == 32 and any(
        abs(a - b) > 200
        for a, b in zip(struct.unpack(">8I", primaries), _SRGB_CHROMATICITIES, strict=True)
    ):
        raise UnsupportedImageError("primaries that only PNG can state: the LR image would lack it")


def ancillary_chunks(data: bytes, *, with_density: bool) -> tuple[tuple[str, bytes], ...]:
    """The chunks that are neither pixels nor read into a field of `Photo`.

    Args:
        data: The file.
        with_density: Whether `pHYs` is among them, as it states no DPI.
    """
    elsewhere = (*_READ_ELSEWHERE, *_OF_ANIMATION, *(() if with_density else (b"pHYs",)))
    return tuple(
        (kind.decode("latin-1"), data[at : at + length])
        for kind, at, length in chunks(data)
        if kind[:1].islower()
        and kind not in elsewhere
        and not (kind == b"iTXt" and data.startswith(_XMP, at))
    )


def with_chunks(data: bytes, added: Iterable[tuple[str, bytes]]) -> bytes:
    """Put chunks right behind the header, where every kind may stand."""
    written = b"".join(_chunk(kind.encode("latin-1"), content) for kind, content in added)
    return data[:_HEADER_END] + written + data[_HEADER_END:]


def with_checksum(data: bytearray, changed: int) -> None:
    """Write the check sum of the chunk around an offset anew."""
    for _, at, length in chunks(bytes(data)):
        if at <= changed < at + length:
            data[at + length : at + length + 4] = zlib.crc32(data[at - 4 : at + length]).to_bytes(
                4, "big"
            )


def text_chunk(keyword: str, value: str) -> tuple[str, bytes]:
    """An international text chunk."""
    return "iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + value.encode()


def raw_profile(kind: str, content: bytes) -> tuple[str, bytes]:
    """Metadata that PNG has no chunk for, the way ImageMagick writes and ExifTool reads it.

    Source: https://exiftool.org/TagNames/PNG.html, "Raw profile type".
    """
    digits = content.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = f"\n{kind}\n{len(content):8d}\n{lines}\n".encode("ascii")
    return "zTXt", f"Raw profile type {kind}".encode("ascii") + b"\0\0" + zlib.compress(text)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + zlib.crc32(kind + content).to_bytes(4, "big")
    )
