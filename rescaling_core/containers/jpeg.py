"""The segments of a JPEG.

Source: ITU-T T.81, annex B; JFIF 1.02; CIPA DC-008 (EXIF); ICC.1, annex B.4.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from rescaling_core.containers import jpeg_tables
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
    from collections.abc import Iterator, Sequence

    from rescaling_core.containers.jpeg_tables import Segment

EOI, SOS, DNL, COM = 0xD9, 0xDA, 0xDC, 0xFE
APP0, APP1, APP2, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
JFIF: Final = b"JFIF\0"
EXIF: Final = b"Exif\0\0"
XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
ICC: Final = b"ICC_PROFILE\0"
ADOBE: Final = b"Adobe"
PHOTOSHOP: Final = b"Photoshop 3.0\0"
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of frame headers."""
_TABLES: Final = frozenset((0xC4, 0xCC, 0xDB, 0xDD, DNL))
"""Huffman and arithmetic tables, quantisation tables, restart interval, number of lines."""
_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]", re.DOTALL)
_MARKER_IN_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


def walk(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Walk segments as (marker, start, end of the payload), from the start or a segment on.

    Stops behind the end marker, or where the file is cut or damaged.
    """
    at = 2 if data.startswith(b"\xff\xd8") else 0
    while found := _MARKER.search(data, at):
        marker, start = data[found.end() - 1], found.end()
        if marker == EOI:
            yield marker, start, start
            return
        end = start + int.from_bytes(data[start : start + 2], "big")
        if end < start + 2 or end > len(data):
            return
        yield marker, start + 2, end
        at = end
        if marker == SOS:
            after = _MARKER_IN_SCAN.search(data, end)
            if after is None:
                return
            at = after.start()


EMPTY: Final = "empty segment"
"""Name of a part that is a segment without content."""


def parts(data: bytes, segments: Sequence[Segment] | None = None) -> list[Part]:
    """Every byte of a JPEG.

    Of EXIF and XMP the first segment is understood, and a colour profile whose segments are
    complete; a JFIF header where it states nothing but a density, and Adobe's where it is as long
    as it should be. Tables are part of the picture where a scan uses them. All other segments are
    unknown, named by their marker.

    Args:
        data: The file.
        segments: What `walk` gives of it, where that is known: it takes a while for large files.

    Raises:
        ValueError: There is no end marker.
    """
    found = [Part(STRUCTURE, "SOI", 0, 2)]
    seen: set[str] = set()
    segments = list(walk(data)) if segments is None else segments
    profile = set(profile_segments(data, segments))
    unused = jpeg_tables.unused(data, segments)
    ended = False
    for marker, start, end in segments:
        if marker == EOI:
            found.append(Part(STRUCTURE, "EOI", start - 2, 2))
            ended = True
            break
        kind, name, prefix = _role(marker, data, start, end)
        if name == "icc" and start not in profile:
            kind, name, prefix = UNKNOWN, "APP2", 0
        if start in unused:
            kind, name = UNKNOWN, "unused tables"
        if name in seen and name in ("exif", "xmp", "JFIF", "Adobe"):
            kind, name, prefix = UNKNOWN, f"APP{marker - APP0}", 0
        seen.add(name)
        if end - start == prefix and kind in (METADATA, UNKNOWN):  # it says only that it is there
            name = EMPTY
        part = Part(kind, name, start + prefix, end - start - prefix)
        found += framed(part, 4 + prefix, called="marker")
        if marker == SOS:
            after = _MARKER_IN_SCAN.search(data, end)
            stop = after.start() if after else len(data)
            found.append(Part(PIXELS, "scan", end, stop - end))
    if not ended:
        raise ValueError("JPEG: truncated: no end marker")
    return _without_fill(tiled(found, data, gap="bytes between segments"), data)


def _role(marker: int, data: bytes, start: int, end: int) -> tuple[Kind, str, int]:
    """(kind, name, bytes of a prefix that belongs to the structure) of a segment."""
    if marker in FRAMES or marker == SOS:
        return PIXELS, "SOS" if marker == SOS else "SOF", 0
    if marker in _TABLES:
        return PIXELS, "tables", 0
    if marker == COM:
        return METADATA, "COM", 0
    if marker == APP0 and states_density_alone(data[start:end]):
        return METADATA, "JFIF", 0
    if marker == APP14 and data.startswith(ADOBE, start) and end - start == 12:
        return STRUCTURE, "Adobe", 0
    for of, prefix, name in (
        (APP1, EXIF, "exif"),
        (APP1, XMP, "xmp"),
        (APP2, ICC, "icc"),
        (APP13, PHOTOSHOP, "Photoshop"),
    ):
        if marker == of and data.startswith(prefix, start):
            return METADATA, name, len(prefix) + (2 if name == "icc" else 0)
    if APP0 <= marker <= 0xEF:
        return UNKNOWN, f"APP{marker - APP0}", 0
    return UNKNOWN, f"segment {marker:02X}", 0


def states_density_alone(jfif: bytes) -> bool:
    """Whether a JFIF header has no thumbnail, and its density is one or is not stated."""
    if not jfif.startswith(JFIF) or len(jfif) != 14:
        return False
    unit, x, y, width, height = struct.unpack(">BHHBB", jfif[7:])
    if width or height:
        return False
    return bool(x > 0 and y > 0 if unit in (1, 2) else unit == 0 and x == y)


def profile_segments(data: bytes, segments: Sequence[Segment] | None = None) -> list[int]:
    """Offsets of the payloads that make a colour profile, in its order; `segments` as for `parts`.

    Empty unless there are as many as they state, each once.
    """
    numbered = {}
    for marker, start, end in walk(data) if segments is None else segments:
        if marker == APP2 and data.startswith(ICC, start) and end - start > len(ICC) + 2:
            number, count = data[start + len(ICC) : start + len(ICC) + 2]
            if number in numbered:
                continue  # the first counts; what the second one says is seen by its own part
            numbered[number] = (start, count)
    counts = {count for _, count in numbered.values()}
    if counts != {len(numbered)} or set(numbered) != set(range(1, len(numbered) + 1)):
        return []
    return [numbered[number][0] for number in sorted(numbered)]


def profile(data: bytes, segments: Sequence[Segment] | None = None) -> bytes | None:
    """The colour profile, put together; None if there is none or it is not complete.

    `segments` as for `parts`.
    """
    segments = list(walk(data)) if segments is None else segments
    starts = profile_segments(data, segments)
    ends = {start: end for _, start, end in segments}
    return b"".join(data[start + len(ICC) + 2 : ends[start]] for start in starts) or None


def of_picture(data: bytes, found: Sequence[Part] | None = None) -> bytes:
    """The same file with the segments that make the picture alone, and no trailer.

    Args:
        data: The file.
        found: Its `parts`, where they are known.

    Raises:
        ValueError: There is no end marker.
    """
    kept = [b"\xff\xd8"]
    start = 2
    for part in parts(data) if found is None else found:
        if part.kind == PIXELS and part.name == "scan":
            kept.append(part.of(data))
        elif part.kind == PIXELS or _says_colours(part, data):
            kept.append(data[part.offset - 4 : part.end])
        elif part.name == "EOI":
            start = part.end
    kept.append(data[start - 2 : start])
    return b"".join(kept)


def _says_colours(part: Part, data: bytes) -> bool:
    """Whether a decoder tells YCbCr from RGB and CMYK by a segment, understood or not."""
    return data[part.offset - 4 : part.offset - 2] in (b"\xff\xe0", b"\xff\xee") and (
        data.startswith((JFIF, ADOBE), part.offset)
    )


def segment(marker: int, payload: bytes) -> bytes:
    """A whole segment."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def photoshop_resources(segments: bytes) -> bytes | None:
    """Photoshop's resources, IPTC among them, of the segments of a JPEG."""
    found = [
        segments[start + len(PHOTOSHOP) : end]
        for marker, start, end in walk(segments)
        if marker == APP13 and segments.startswith(PHOTOSHOP, start)
    ]
    return b"".join(found) or None


def comments(segments: bytes) -> list[bytes]:
    """The comments among the segments of a JPEG."""
    return [segments[start:end] for marker, start, end in walk(segments) if marker == COM]


def _without_fill(found: list[Part], data: bytes) -> list[Part]:
    """A marker may be preceded by any number of fill bytes (B.1.1.2): they are structure."""
    return [
        Part(STRUCTURE, "fill bytes", part.offset, part.length)
        if part.kind == UNKNOWN
        and part.name == "bytes between segments"
        and not part.of(data).strip(b"\xff")
        else part
        for part in found
    ]
