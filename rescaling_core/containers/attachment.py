"""Bytes of ours inside an LR file, where its container keeps what it does not know.

PNG: a private ancillary chunk before the end. JPEG: APP4 segments behind the last APP segment.
WebP: a RIFF chunk at the end. AVIF and JPEG XL: a `uuid` box at the end. Viewers pass over all of
them, and the pixels stay what they are. docs/formats.md gives the layout.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final, Literal

from rescaling_core.containers import boxes, headers, jpeg, jxl, png, riff
from rescaling_core.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["meta", "rsdl"]
"""Restoration metadata (where XMP cannot hold them); a residual."""

UUID: Final = bytes.fromhex("3b5d0c5e6f1e4f0a9c5a7265666f6c64")
"""Of our boxes: ISO/IEC 14496-12, 4.2, `uuid` boxes; the end spells `refold`."""

_PNG_CHUNK: Final = b"rfLD"
"""Ancillary, private, not safe to copy where pixels change."""
_RIFF_CHUNK: Final = b"RFLD"
_APP4: Final = 0xE4
_APP_SIGNATURE: Final = b"Refold\0"
SIGNS: Final = (_PNG_CHUNK, _RIFF_CHUNK, _APP_SIGNATURE, UUID)
"""Every file with an attachment holds one of these, and so may another by chance."""
_SEGMENT: Final = 65_533 - len(_APP_SIGNATURE) - 4
_VP8X: Final = b"VP8X"


def attach(data: bytes, kind: Kind, payload: bytes) -> bytes:
    """Put bytes into a file; what is attached already stays.

    Args:
        data: A PNG, JPEG, WebP, AVIF or JPEG XL file; WebP in its extended form, JPEG XL in its
            container.
        kind: What they are; one of a kind a file.
        payload: At most 2³¹ bytes.

    Raises:
        CodecError: The file is of another format, or cannot hold them.
    """
    tagged = kind.encode() + payload
    name = headers.identify(data)
    if name == "PNG":
        return _into_png(data, tagged)
    if name == "JPEG":
        return _into_jpeg(data, kind.encode(), payload)
    if name == "WEBP":
        return _into_webp(data, tagged)
    if name == "AVIF" or data.startswith(jxl.CONTAINER_SIGNATURE):
        return data + struct.pack(">I4s", 8 + len(UUID) + len(tagged), b"uuid") + UUID + tagged
    raise CodecError(f"LR file: a file of format {name} takes no attachment")


def without(data: bytes, kind: Kind) -> bytes:
    """The file without what is attached of a kind; the very file if there is nothing.

    Raises:
        CodecError: The file is damaged.
    """
    try:
        spans = [span for span, part in _attached(data) if part[:4] == kind.encode()]
    except ValueError as error:
        raise CodecError(f"LR file: {error}") from error
    for start, end in reversed(spans):
        data = data[:start] + data[end:]
    if spans and headers.identify(data) == "WEBP":
        return _with_riff_length(data)
    return data


def read(data: bytes, kind: Kind) -> bytes | None:
    """Find what was attached; None if there is nothing of that kind.

    Raises:
        CodecError: The file is damaged.
    """
    try:
        parts = [part[4:] for _, part in _attached(data) if part[:4] == kind.encode()]
    except ValueError as error:
        raise CodecError(f"LR file: {error}") from error
    return b"".join(parts) if parts else None


def _attached(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    """What is attached, kind and bytes, each with where its part of the container lies."""
    name = headers.identify(data)
    if name == "PNG":
        for kind, at, length in png.walk(data):
            if kind == _PNG_CHUNK:
                yield (at - 8, at + length + 4), data[at : at + length]
    elif name == "JPEG":
        for marker, start, end in jpeg.walk(data):
            if marker == _APP4 and data.startswith(_APP_SIGNATURE, start):
                yield (start - 4, end), data[start + len(_APP_SIGNATURE) : end]
    elif name == "WEBP":
        for kind, at, length in riff.walk(data):
            if kind == _RIFF_CHUNK:
                yield (at - 8, at + length + length % 2), data[at : at + length]
    elif name == "AVIF" or data.startswith(jxl.CONTAINER_SIGNATURE):
        for box, start, end in boxes.walk(data):
            if box == b"uuid" and data.startswith(UUID, start):
                yield (start - 8, end), data[start + len(UUID) : end]


def _into_png(data: bytes, tagged: bytes) -> bytes:
    at = png.walk(data)[-1][1] - 8
    chunk = _PNG_CHUNK + tagged
    whole = struct.pack(">I", len(tagged)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:at] + whole + data[at:]


def _into_jpeg(data: bytes, tag: bytes, payload: bytes) -> bytes:
    at = 2
    for marker, _, end in jpeg.walk(data):
        if not 0xE0 <= marker <= 0xEF:
            break
        at = end
    cuts = [payload[i : i + _SEGMENT] for i in range(0, len(payload), _SEGMENT)] or [b""]
    segments = [
        struct.pack(">BBH", 0xFF, _APP4, 2 + len(_APP_SIGNATURE) + 4 + len(cut))
        + _APP_SIGNATURE
        + tag
        + cut
        for cut in cuts
    ]
    return data[:at] + b"".join(segments) + data[at:]


def _into_webp(data: bytes, tagged: bytes) -> bytes:
    chunk = _RIFF_CHUNK + struct.pack("<I", len(tagged)) + tagged + b"\0" * (len(tagged) % 2)
    return _with_riff_length(_extended(data) + chunk)


def _with_riff_length(data: bytes) -> bytes:
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def _extended(data: bytes) -> bytes:
    """A WebP with the extended header, without which it may hold nothing but its picture.

    Source: the WebP container specification, "Extended file format"; RFC 6386, 9.1, and the WebP
    lossless bitstream specification, 3, for the size of the picture.
    """
    kind, at = data[12:16], 20
    if kind == _VP8X:
        return data
    if kind == b"VP8 ":
        width, height = (value & 0x3FFF for value in struct.unpack("<HH", data[at + 6 : at + 10]))
        alpha = 0
    elif kind == b"VP8L":
        bits = int.from_bytes(data[at + 1 : at + 5], "little")
        width, height, alpha = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bits >> 28 & 1
    else:
        raise CodecError(f"LR file: a WebP that begins with a chunk {kind!r}")
    header = struct.pack("<II", 10, alpha << 4)
    header += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended: bytes = data[:12] + _VP8X + header + data[12:]
    return extended
