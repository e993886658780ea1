"""What JPEG holds that Pillow does not tell: every segment, and what follows the picture."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from rescaling_core.errors import UnreadableImageError, UnsupportedImageError
from rescaling_core.photo.record import JpegTraits, Traits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.ImageFile import ImageFile

MAX_TRAILER: Final = 65_536
"""Bytes after the picture that are carried; more is another file (a film, a second picture)."""

_EOI, _SOS = 0xD9, 0xDA
_MARKER_IN_SCAN: Final = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)
_READ_ELSEWHERE: Final = (
    (0xE0, b"JFIF\0"),
    (0xE1, b"Exif\0\0"),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
    (0xE2, b"ICC_PROFILE\0"),
    (0xEE, b"Adobe"),
)
_SAMPLINGS: Final[dict[tuple[tuple[int, int], ...], str]] = {
    ((1, 1), (1, 1), (1, 1)): "4:4:4",
    ((2, 1), (1, 1), (1, 1)): "4:2:2",
    ((2, 2), (1, 1), (1, 1)): "4:2:0",
}


def read_traits(image: ImageFile, data: bytes) -> Traits:
    """How a JPEG was written, and what it holds besides.

    Raises:
        UnreadableImageError: It ends before its end marker.
        UnsupportedImageError: Another file is appended, or it holds a gain map.
    """
    segments = b""
    for marker, start, end in walk(data):
        if marker == _EOI:
            trailer = data[end:]
            break
        payload = data[start:end]
        if marker == 0xE1 and b"hdrgm:Version" in payload:
            raise UnsupportedImageError("a gain map for HDR screens: it would be lost")
        if (0xE0 <= marker <= 0xEF or marker == 0xFE) and not any(
            marker == m and payload.startswith(p) for m, p in _READ_ELSEWHERE
        ):
            segments += struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
    else:
        raise UnreadableImageError("JPEG: truncated: no end marker")
    trailer = trailer if trailer.strip(b"\0\xff\r\n ") else b""
    if len(trailer) > MAX_TRAILER:
        raise UnsupportedImageError(
            f"{len(trailer)} bytes follow the picture (a film or another picture): "
            "they would be lost"
        )
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    layers = tuple((h, v) for _, h, v, _ in getattr(image, "layer", ()))
    return Traits(
        jpeg=JpegTraits(
            quantisation=tuple(tuple(tables[key]) for key in sorted(tables)),
            subsampling=_SAMPLINGS.get(layers),
            progressive=bool(image.info.get("progressive")),
            segments=segments,
        ),
        trailer=trailer,
    )


def walk(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Walk the segments as (marker, start, end of the payload), up to the end marker.

    Source: ITU-T T.81, annex B. Ends without an end marker where the file does.
    """
    at = 2
    while True:
        found = data.find(b"\xff", at)
        if found < 0 or found + 1 >= len(data):
            return
        marker = data[found + 1]
        if marker in (0x00, 0xFF) or 0xD0 <= marker <= 0xD8 or marker == 0x01:
            at = found + (1 if marker == 0xFF else 2)
            continue
        if marker == _EOI:
            yield marker, found + 2, found + 2
            return
        length = int.from_bytes(data[found + 2 : found + 4], "big")
        end = found + 2 + length
        if length < 2 or end > len(data):
            return
        yield marker, found + 4, end
        at = end
        if marker == _SOS:
            scan_end = _MARKER_IN_SCAN.search(data, end)
            if scan_end is None:
                return
            at = scan_end.end() - 2
