"""The parts of an AVIF or HEIC file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rescaling_core.containers import isobmff
from rescaling_core.containers.boxes import walk
from rescaling_core.containers.parts import (
    METADATA,
    PIXELS,
    STRUCTURE,
    UNKNOWN,
    Kind,
    Part,
    framed,
    tiled,
    uncovered,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rescaling_core.containers.boxes import Box

FILM_BOXES: Final = frozenset((b"moov", b"moof", b"mpvd", b"sidx", b"trak", b"mfra", b"styp"))
"""Top-level boxes that are there for moving pictures alone."""


def parts(data: bytes) -> list[Part]:
    """Every byte of an AVIF or HEIC file.

    Bytes of `mdat` are pixels where they belong to the main picture, its tiles or its alpha, and
    metadata where they are its EXIF or XMP (one of each); all others are unknown, a thumbnail's
    too. Where the `meta` box holds anything that is not understood it is unknown as a whole, as
    what it says may be needed for that.

    Raises:
        ValueError: The `meta` box is damaged.
    """
    meta = isobmff.read_meta(data)
    pictures = meta.of_picture()
    found: list[Part] = []
    if not meta.is_known or set(meta.items) - pictures - _described(meta):
        meta_kind: Kind = UNKNOWN
    else:
        meta_kind = STRUCTURE
    media = [(box.start, box.end) for box in _media(data)]
    seen: set[str] = set()
    for number, item in sorted(meta.items.items()):
        kind, name = _role(number, item, pictures)
        if kind == METADATA and (name in seen or len(item.extents) != 1):
            kind, name = UNKNOWN, f"item {name}"
        seen.add(name)
        found += [
            Part(kind, name, at, length)
            for at, length in item.extents
            if any(start <= at and at + length <= end for start, end in media)
        ]
    items = tuple(found)
    boxes = set()
    for box in walk(data):
        name = box.kind.decode("latin-1")
        found.append(Part(STRUCTURE, "box header", box.header, box.start - box.header))
        first = box.kind not in boxes
        boxes.add(box.kind)
        if box.kind == b"ftyp" and first:
            found.append(Part(STRUCTURE, "ftyp", box.start, box.end - box.start))
        elif box.kind == b"meta" and first:
            found += _around(items, Part(meta_kind, "meta", box.start, box.end - box.start))
        elif box.kind == b"mdat":
            found += _between(items, data, box.start, box.end)
        elif box.kind in (b"free", b"skip"):
            found.append(uncovered(data, box.start, box.end, f"box {name}"))
        else:
            part = Part(UNKNOWN, f"box {name}", box.start, box.end - box.start)
            found[-1:] = framed(part, box.start - box.header, called="box header")
    return tiled(found, data)


def _media(data: bytes) -> Iterator[Box]:
    """The boxes that items lie in."""
    for box in walk(data):
        if box.kind == b"mdat":
            yield box
        elif box.kind == b"meta":
            inner = walk(data, box.start + 4, box.end)
            yield from (one for one in inner if one.kind == b"idat")


def _described(meta: isobmff.Meta) -> set[int]:
    """Items that need no description besides: EXIF and XMP of the main picture."""
    return {
        number
        for number, item in meta.items.items()
        if item.kind == b"Exif" or item.content_type == isobmff.XMP_TYPE
    }


def _role(number: int, item: isobmff.Item, pictures: set[int]) -> tuple[Kind, str]:
    if number in pictures:
        return PIXELS, "picture"
    if item.kind == b"Exif":
        return METADATA, "exif"
    if item.kind == b"mime" and item.content_type == isobmff.XMP_TYPE:
        return METADATA, "xmp"
    return UNKNOWN, f"item {item.kind.decode('latin-1')}"


def _between(items: tuple[Part, ...], data: bytes, start: int, end: int) -> list[Part]:
    """What no item claims of a box of media data."""
    found, at = [], start
    for part in sorted(items, key=lambda part: part.offset):
        if part.offset > at and part.offset < end:
            found.append(uncovered(data, at, part.offset, "bytes of mdat"))
        at = max(at, min(part.end, end)) if part.offset < end else at
    if at < end:
        found.append(uncovered(data, at, end, "bytes of mdat"))
    return found


def _around(items: tuple[Part, ...], whole: Part) -> list[Part]:
    """The `meta` box without the items that lie in it (in its `idat` box)."""
    found, at = [], whole.offset
    for part in sorted(items, key=lambda part: part.offset):
        if whole.offset <= part.offset < whole.end:
            found.append(Part(whole.kind, whole.name, at, part.offset - at))
            at = max(at, part.end)
    found.append(Part(whole.kind, whole.name, at, max(0, whole.end - at)))
    return found
