"""Where bytes of ours lie in a file, so that viewers pass over them: one `Layout` a container.

PNG: a private ancillary chunk before the end. JPEG: APP4 segments behind the last APP segment.
WebP: a RIFF chunk at the end. AVIF and JPEG XL: a `uuid` box at the end. The pixels stay what they
are. docs/formats.md gives the bytes. A codec states which layout its files have.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rescaling_core.containers import boxes, jpeg, png, riff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UUID: Final = bytes.fromhex("3b5d0c5e6f1e4f0a9c5a7265666f6c64")
"""Of our boxes: ISO/IEC 14496-12, 4.2, `uuid` boxes; the end spells `refold`."""

_PNG_CHUNK: Final = b"rfLD"
"""Ancillary, private, not safe to copy where pixels change."""
_RIFF_CHUNK: Final = b"RFLD"
_APP4: Final = 0xE4
_APP_SIGNATURE: Final = b"Refold\0"
_SEGMENT: Final = 65_533 - len(_APP_SIGNATURE) - 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a container keeps what is none of its own.

    What is attached is tagged: it begins with the four bytes that say what it is. Every function
    raises `ValueError` where the file is damaged, or cannot hold what it is given.
    """

    sign: bytes
    """Every file with an attachment holds these bytes, and so may another by chance."""
    insert: Callable[[bytes, bytes, bytes], bytes]
    """(file, four bytes of a tag, content) → the file with them; what it holds already stays."""
    find: Callable[[bytes], Iterator[tuple[tuple[int, int], bytes]]]
    """What is attached, tag and content, each with the offsets between which it lies in the file,
    with all that belongs to it. A long content may come in several parts, each with the tag."""
    mended: Callable[[bytes], bytes] = bytes
    """The file, after a part was cut out of it."""


def _find_in_png(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    for kind, at, length in png.walk(data):
        if kind == _PNG_CHUNK:
            yield (at - 8, at + length + 4), data[at : at + length]


def _into_png(data: bytes, tag: bytes, content: bytes) -> bytes:
    at = png.walk(data)[-1][1] - 8
    chunk = _PNG_CHUNK + tag + content
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:at] + whole + data[at:]


def _find_in_jpeg(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    for marker, start, end in jpeg.walk(data):
        if marker == _APP4 and data.startswith(_APP_SIGNATURE, start):
            yield (start - 4, end), data[start + len(_APP_SIGNATURE) : end]


def _into_jpeg(data: bytes, tag: bytes, content: bytes) -> bytes:
    at = 2
    for marker, _, end in jpeg.walk(data):
        if not 0xE0 <= marker <= 0xEF:
            break
        at = end
    cuts = [content[i : i + _SEGMENT] for i in range(0, len(content), _SEGMENT)] or [b""]
    segments = [
        struct.pack(">BBH", 0xFF, _APP4, 2 + len(_APP_SIGNATURE) + 4 + len(cut))
        + _APP_SIGNATURE
        + tag
        + cut
        for cut in cuts
    ]
    return data[:at] + b"".join(segments) + data[at:]


def _find_in_riff(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    for kind, at, length in riff.walk(data):
        if kind == _RIFF_CHUNK:
            yield (at - 8, at + length + length % 2), data[at : at + length]


def _into_riff(data: bytes, tag: bytes, content: bytes) -> bytes:
    tagged = tag + content
    chunk = _RIFF_CHUNK + struct.pack("<I", len(tagged)) + tagged + b"\0" * (len(tagged) % 2)
    return riff.with_length(riff.extended(data) + chunk)


def _find_in_boxes(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    for box in boxes.walk(data, strict=True):
        if box.kind == b"uuid" and data.startswith(UUID, box.start):
            yield (box.header, box.end), data[box.start + len(UUID) : box.end]


def _into_boxes(data: bytes, tag: bytes, content: bytes) -> bytes:
    size = 8 + len(UUID) + len(tag) + len(content)
    return data + struct.pack(">I4s", size, b"uuid") + UUID + tag + content


PNG_CHUNK: Final = Layout(sign=_PNG_CHUNK, insert=_into_png, find=_find_in_png)
JPEG_SEGMENTS: Final = Layout(sign=_APP_SIGNATURE, insert=_into_jpeg, find=_find_in_jpeg)
RIFF_CHUNK: Final = Layout(
    sign=_RIFF_CHUNK, insert=_into_riff, find=_find_in_riff, mended=riff.with_length
)
BOX: Final = Layout(sign=UUID, insert=_into_boxes, find=_find_in_boxes)
"""Of every container that consists of boxes, as those of ISO media files do."""
