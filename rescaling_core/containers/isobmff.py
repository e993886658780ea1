"""The items of HEIF files (AVIF and HEIC): what their `meta` box says.

Source: ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (items and their properties).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rescaling_core.containers.boxes import walk

if TYPE_CHECKING:
    from rescaling_core.containers.boxes import Box

ALPHA: Final = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
XMP_TYPE: Final = b"application/rdf+xml"
_META_BOXES: Final = frozenset(
    (b"hdlr", b"pitm", b"iloc", b"iinf", b"iprp", b"iref", b"idat", b"dinf")
)
_PROPERTIES: Final = frozenset(
    (b"ispe", b"pixi", b"av1C", b"hvcC", b"colr", b"irot", b"imir", b"auxC", b"pasp", b"clap")
)
"""Properties that a decoder or this program heeds."""


@dataclass(slots=True)
class Item:
    """An item: a picture, or metadata."""

    kind: bytes = b""
    content_type: bytes = b""
    """Of an item of kind `mime`."""
    extents: list[tuple[int, int]] = field(default_factory=list)
    """(offset in the file, length)."""
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    """(type, content)."""

    @property
    def auxiliary_type(self) -> bytes:
        """What an auxiliary picture is for, as its property says; empty if it has none."""
        return next(
            (content[4:].split(b"\0")[0] for kind, content in self.properties if kind == b"auxC"),
            b"",
        )

    def read(self, data: bytes) -> bytes:
        """Its bytes, its extents joined."""
        return b"".join(data[at : at + length] for at, length in self.extents)


@dataclass(slots=True)
class Meta:
    """What a `meta` box says."""

    items: dict[int, Item] = field(default_factory=dict)
    primary: int = 0
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    """(type, from, to)."""
    is_known: bool = True
    """Whether everything in it is understood."""

    @property
    def turn(self) -> int:
        """The orientation that the container asks for, as EXIF counts."""
        kinds = dict(self.items[self.primary].properties) if self.primary in self.items else {}
        angle = kinds[b"irot"][0] & 3 if kinds.get(b"irot") else 0
        mirror = kinds[b"imir"][-1] & 1 if kinds.get(b"imir") else None
        # The turn is anticlockwise and comes first, then the mirror: HEIF 6.5.10 and 6.5.12.
        return {
            None: (1, 8, 3, 6),
            0: (4, 5, 2, 7),  # top and bottom change places
            1: (2, 7, 4, 5),  # left and right do
        }[mirror][angle]

    def of_picture(self) -> set[int]:
        """The primary item, its alpha, and the tiles that both are made of."""
        found = {self.primary} | {
            start
            for kind, start, ends in self.references
            if kind == b"auxl" and self.primary in ends and self.is_alpha(start)
        }
        for _ in range(2):
            for kind, start, ends in self.references:
                if kind == b"dimg" and start in found:
                    found |= set(ends)
        return found

    def is_alpha(self, item: int) -> bool:
        """Whether an auxiliary picture is the alpha plane."""
        return item in self.items and self.items[item].auxiliary_type in ALPHA

    def thumbnails(self) -> set[int]:
        """Small pictures of the primary item."""
        return {
            start
            for kind, start, ends in self.references
            if kind == b"thmb" and self.primary in ends
        }


def read_meta(data: bytes) -> Meta:
    """Read the first `meta` box of a file; one without any gives an empty record.

    Raises:
        ValueError: It is damaged.
    """
    found = Meta()
    outer = next((box for box in walk(data) if box.kind == b"meta"), None)
    if outer is None:
        return found
    properties: list[tuple[bytes, bytes]] = []
    children = list(walk(data, outer.start + 4, outer.end))
    inner = {box.kind: box for box in children}
    found.is_known = (
        len(inner) == len(children)
        and set(inner) <= _META_BOXES
        and (children[-1].end if children else outer.start + 4) == outer.end
    )
    try:
        if box := inner.get(b"pitm"):
            wide = data[box.start] > 0
            found.primary = _Reader(data, box.start + 4, box.end).u(4 if wide else 2)
        if box := inner.get(b"iinf"):
            _read_infos(data, box, found)
        if box := inner.get(b"iloc"):
            _read_locations(data, box, inner.get(b"idat"), found)
        if box := inner.get(b"iref"):
            _read_references(data, box, found)
        if box := inner.get(b"iprp"):
            for part in walk(data, box.start, box.end):
                if part.kind == b"ipco":
                    properties = [
                        (one.kind, data[one.start : one.end])
                        for one in walk(data, part.start, part.end)
                    ]
                elif part.kind == b"ipma":
                    _read_associations(data, part, properties, found)
                else:
                    found.is_known = False
    except IndexError as error:
        raise ValueError("HEIF: a damaged meta box") from error
    found.is_known = found.is_known and {kind for kind, _ in properties} <= _PROPERTIES
    return found


class _Reader:
    """Reads big-endian numbers one after the other."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self.at, self.end = data, at, end

    def u(self, size: int) -> int:
        if self.at + size > self.end:
            raise IndexError("past the end of the box")
        self.at += size
        return int.from_bytes(self._data[self.at - size : self.at], "big")


def _read_infos(data: bytes, box: Box, found: Meta) -> None:
    start = box.start + 4 + (2 if data[box.start] == 0 else 4)
    for info in walk(data, start, box.end):
        version = data[info.start]
        if info.kind != b"infe" or version < 2:
            found.is_known = False
            continue
        reader = _Reader(data, info.start + 4, info.end)
        item = found.items.setdefault(reader.u(2 if version == 2 else 4), Item())
        reader.u(2)  # protection
        item.kind = data[reader.at : reader.at + 4]
        texts = data[reader.at + 4 : info.end].split(b"\0")
        if item.kind == b"mime" and len(texts) > 1:
            item.content_type = texts[1]
        if item.kind == b"uri ":
            found.is_known = False


def _read_locations(data: bytes, box: Box, idat: Box | None, found: Meta) -> None:
    version = data[box.start]
    reader = _Reader(data, box.start + 4, box.end)
    sizes, more = reader.u(1), reader.u(1)
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, more >> 4
    index_size = more & 15 if version else 0
    wide = 4 if version == 2 else 2
    for _ in range(reader.u(wide)):
        item = found.items.setdefault(reader.u(wide), Item())
        method = reader.u(2) & 15 if version else 0
        reader.u(2)  # data reference
        base = reader.u(base_size)
        if method == 1 and idat is not None:
            base += idat.start
        for _ in range(reader.u(2)):
            reader.u(index_size)
            at, length = base + reader.u(offset_size), reader.u(length_size)
            item.extents.append((at, length or len(data) - at))
        if method > 1:
            found.is_known = False
            item.extents.clear()


def _read_references(data: bytes, box: Box, found: Meta) -> None:
    wide = 4 if data[box.start] else 2
    for one in walk(data, box.start + 4, box.end):
        reader = _Reader(data, one.start, one.end)
        origin = reader.u(wide)
        ends = tuple(reader.u(wide) for _ in range(reader.u(2)))
        found.references.append((one.kind, origin, ends))


def _read_associations(
    data: bytes, box: Box, properties: list[tuple[bytes, bytes]], found: Meta
) -> None:
    version, flags = data[box.start], data[box.start + 3]
    reader = _Reader(data, box.start + 4, box.end)
    for _ in range(reader.u(4)):
        item = found.items.setdefault(reader.u(4 if version else 2), Item())
        for _ in range(reader.u(1)):
            index = reader.u(2) & 0x7FFF if flags & 1 else reader.u(1) & 0x7F
            if index:
                item.properties.append(properties[index - 1])
