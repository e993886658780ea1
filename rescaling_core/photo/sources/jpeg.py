"""What JPEG holds that Pillow does not tell: every segment, and what follows the picture."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rescaling_core.errors import UnreadableImageError, UnsupportedImageError
from rescaling_core.photo.record import TOO_DEEP, JpegTraits, Traits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.ImageFile import ImageFile

MAX_TRAILER: Final = 65_536
"""Bytes after the picture that are carried; more is another file (a film, a second picture)."""

_EOI, _SOS, _COM, _APP1, _APP13 = 0xD9, 0xDA, 0xFE, 0xE1, 0xED
_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]", re.DOTALL)
_MARKER_IN_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DCT: Final = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_READ_ELSEWHERE: Final = (
    (0xE0, b"JFIF\0"),
    (_APP1, b"Exif\0\0"),
    (_APP1, b"http://ns.adobe.com/xap/1.0/\0"),
    (0xE2, b"ICC_PROFILE\0"),
    (0xEE, b"Adobe"),
)
_PHOTOSHOP: Final = b"Photoshop 3.0\0"
_SAMPLINGS: Final[dict[tuple[tuple[int, int], ...], str]] = {
    ((1, 1), (1, 1), (1, 1)): "4:4:4",
    ((2, 1), (1, 1), (1, 1)): "4:2:2",
    ((2, 2), (1, 1), (1, 1)): "4:2:0",
}


@dataclass(frozen=True, slots=True)
class JpegLayout:
    """The parts of a file that are not the picture."""

    segments: bytes
    """APPn and COM segments that Pillow does not give, whole, one after the other."""
    trailer: bytes
    """What follows the picture."""


def check(data: bytes) -> JpegLayout:
    """Read the layout, and refuse what Pillow would cut or drop.

    Raises:
        UnreadableImageError: It ends before its end marker.
        UnsupportedImageError: Another file is appended, it holds a gain map, or its samples are
            not 8-bit grey, RGB or CMYK.
    """
    segments: list[bytes] = []
    trailer: bytes | None = None
    for marker, start, end in walk(data):
        if marker == _EOI:
            trailer = data[end:]
            break
        payload = data[start:end]
        if marker in _FRAMES:
            _check_frame(marker, payload)
        if marker == _APP1 and b"hdrgm:Version" in payload:
            raise UnsupportedImageError("a gain map for HDR screens: it would be lost")
        if (0xE0 <= marker <= 0xEF or marker == _COM) and not any(
            marker == m and payload.startswith(p) for m, p in _READ_ELSEWHERE
        ):
            segments.append(struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload)
    if trailer is None:
        raise UnreadableImageError("JPEG: truncated: no end marker")
    if not trailer.strip(b"\0\xff\r\n "):
        trailer = b""  # padding
    if len(trailer) > MAX_TRAILER:
        raise UnsupportedImageError(
            f"{len(trailer)} bytes follow the picture (a film or another picture): "
            "they would be lost"
        )
    return JpegLayout(b"".join(segments), trailer)


def traits(image: ImageFile, layout: JpegLayout) -> Traits:
    """How a JPEG was written, and what it holds besides."""
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    samplings = tuple((h, v) for _, h, v, _ in getattr(image, "layer", ()))
    return Traits(
        jpeg=JpegTraits(
            quantisation=tuple(tuple(tables[key]) for key in sorted(tables)),
            subsampling=_SAMPLINGS.get(samplings),
            progressive=bool(image.info.get("progressive")),
            segments=layout.segments,
        ),
        trailer=layout.trailer,
    )


def walk(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Walk segments as (marker, start, end of the payload), from the start or a segment on.

    Source: ITU-T T.81, annex B. Stops behind the end marker, or where the file is cut or damaged.
    """
    at = 2 if data.startswith(b"\xff\xd8") else 0
    while found := _MARKER.search(data, at):
        marker, start = data[found.end() - 1], found.end()
        if marker == _EOI:
            yield marker, start, start
            return
        end = start + int.from_bytes(data[start : start + 2], "big")
        if end < start + 2 or end > len(data):
            return
        yield marker, start + 2, end
        at = end
        if marker == _SOS:
            after = _MARKER_IN_SCAN.search(data, end)
            if after is None:
                return
            at = after.start()


def photoshop_resources(segments: bytes) -> bytes | None:
    """Photoshop's resources, IPTC among them, of the segments of a JPEG."""
    parts = [
        segments[start + len(_PHOTOSHOP) : end]
        for marker, start, end in walk(segments)
        if marker == _APP13 and segments.startswith(_PHOTOSHOP, start)
    ]
    return b"".join(parts) or None


def comments(segments: bytes) -> list[bytes]:
    """The comments among the segments of a JPEG."""
    return [segments[start:end] for marker, start, end in walk(segments) if marker == _COM]


def _check_frame(marker: int, payload: bytes) -> None:
    if marker not in _DCT:
        raise UnsupportedImageError("lossless or hierarchical JPEG: it cannot be decoded here")
    if payload[:1] not in (b"\x08", b""):
        raise UnsupportedImageError(f"{payload[0]}-bit samples: {TOO_DEEP}")
    if len(payload) > 5 and payload[5] not in (1, 3, 4):
        raise UnsupportedImageError(f"JPEG of {payload[5]} planes: they would be lost")
