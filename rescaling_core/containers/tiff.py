"""The directories of a TIFF, and all that they point at.

Source: TIFF 6.0; BigTIFF (libtiff.gitlab.io/libtiff/specification/bigtiff.html).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from rescaling_core.containers.parts import METADATA, PIXELS, STRUCTURE, Kind, Part, tiled

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value of each type."""
_BIG_SIZES: Final = {16: 8, 17: 8, 18: 8}
XMP, IPTC, ICC = 700, 33723, 34675
EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
STRUCTURAL: Final = frozenset(
    # size, bits, compression, photometric, fill order, strips, samples, planes, T4 and T6 options,
    # predictor, colour map, tiles, extra samples, sample format, JPEG tables, YCbCr
    (254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323)
) | frozenset((324, 325, 338, 339, 340, 341, 347, 512, 513, 514, 529, 530, 531, 532))
"""Tags that say how the pixels are written."""
_NAMES: Final = {XMP: "xmp", IPTC: "iptc", ICC: "icc"}
_LARGEST_DIRECTORY: Final = 65_535
"""Entries."""
_DEEPEST: Final = 2
"""Levels of directories below the first: EXIF, and interoperability below that."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a directory."""

    tag: int
    type: int
    count: int
    at: int
    """Offset of its values, which may lie in the entry itself."""
    length: int
    """Bytes of its values."""


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory."""

    at: int
    """Offset."""
    length: int
    """Bytes, values elsewhere not counted."""
    entries: tuple[Entry, ...]
    following: int
    """Offset of the next directory; 0 if there is none."""


class Tiff:
    """Reads directories of a TIFF or BigTIFF of either byte order."""

    def __init__(self, data: bytes) -> None:
        """Read the header.

        Raises:
            ValueError: It is not one of a TIFF.
        """
        self.data = data
        self.order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
        if not self.order or len(data) < 8:
            raise ValueError("TIFF: no header")
        version = self._number(2, 2)
        if version not in (42, 43):
            raise ValueError(f"TIFF: version {version}")
        self.is_big = version == 43
        self.header_length = 16 if self.is_big else 8
        self._first = self._number(8, 8) if self.is_big else self._number(4, 4)

    @cached_property
    def first(self) -> Directory:
        """The first directory.

        Raises:
            ValueError: It does not lie in the file.
        """
        return self.directory(self._first)

    def directory(self, at: int) -> Directory:
        """Read a directory.

        Raises:
            ValueError: It, or a value of it, does not lie in the file, or is of no known type.
        """
        wide = 8 if self.is_big else 4
        number, size = (8, 20) if self.is_big else (2, 12)
        count = self._number(at, number)
        if count > _LARGEST_DIRECTORY:
            raise ValueError(f"TIFF: a directory of {count} entries")
        entries = []
        for i in range(count):
            start = at + number + size * i
            tag, kind = self._number(start, 2), self._number(start + 2, 2)
            values = self._number(start + 4, wide)
            each = SIZES.get(kind) or (_BIG_SIZES.get(kind) if self.is_big else None)
            if each is None:
                raise ValueError(f"TIFF: tag {tag} is of type {kind}, which is not known")
            length = each * values
            place = start + 4 + wide
            if length > wide:
                place = self._number(place, wide)
            if place + length > len(self.data):
                raise ValueError(f"TIFF: the values of tag {tag} do not lie in the file")
            entries.append(Entry(tag, kind, values, place, length))
        end = at + number + size * count
        return Directory(at, end + wide - at, tuple(entries), self._number(end, wide))

    def raw(self, entry: Entry) -> bytes:
        """The bytes of an entry's values."""
        return self.data[entry.at : entry.at + entry.length]

    def numbers(self, entry: Entry | None) -> tuple[int, ...]:
        """The values of an entry of integers; empty for none and for other types."""
        code = {1: "B", 3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}.get(entry.type if entry else 0)
        if entry is None or code is None:
            return ()
        return struct.unpack(f"{self.order}{entry.count}{code}", self.raw(entry))

    def entry(self, tag: int) -> Entry | None:
        """The last entry of a tag in the first directory."""
        return next((one for one in reversed(self.first.entries) if one.tag == tag), None)

    def value(self, tag: int, default: int) -> int:
        """The first integer of a tag in the first directory."""
        return next(iter(self.numbers(self.entry(tag))), default)

    def below(self, directory: Directory) -> Iterator[tuple[Entry, Directory]]:
        """The directories of EXIF, GPS and interoperability that a directory points at.

        Raises:
            ValueError: One does not lie in the file.
        """
        for entry in directory.entries:
            if entry.tag in (EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY):
                for at in self.numbers(entry)[:1]:
                    yield entry, self.directory(at)

    def _number(self, at: int, size: int) -> int:
        if at < 0 or at + size > len(self.data):
            raise ValueError("TIFF: a directory does not lie in the file")
        order = "little" if self.order == "<" else "big"
        return int.from_bytes(self.data[at : at + size], order)  # type: ignore[arg-type]


def parts(data: bytes) -> list[Part]:
    """Every byte of a TIFF of one picture.

    Bytes that no tag of the first directory, nor of its EXIF, GPS and interoperability
    directories, points at are unknown.

    Raises:
        ValueError: A directory or a value does not lie in the file.
    """
    tiff = Tiff(data)
    found = [Part(STRUCTURE, "header", 0, tiff.header_length)]
    found += _of_directory(tiff, tiff.first)
    for _, below in tiff.below(tiff.first):
        found += _of_directory(tiff, below)
        for _, deepest in tiff.below(below):
            found += _of_directory(tiff, deepest)
    found += _pixels(tiff)
    return tiled(found, data)


def _of_directory(tiff: Tiff, directory: Directory) -> Iterator[Part]:
    yield Part(STRUCTURE, "directory", directory.at, directory.length)
    for entry in directory.entries:
        kind: Kind = STRUCTURE if entry.tag in STRUCTURAL else METADATA
        name = _NAMES.get(entry.tag, f"tag {entry.tag}")
        if not directory.at <= entry.at < directory.at + directory.length:
            yield Part(kind, name, entry.at, entry.length)


def _pixels(tiff: Tiff) -> Iterator[Part]:
    offsets = tiff.numbers(tiff.entry(273)) or tiff.numbers(tiff.entry(324))
    counts = tiff.numbers(tiff.entry(279)) or tiff.numbers(tiff.entry(325))
    for i, at in enumerate(offsets):
        most = _bytes_of_block(tiff, i)
        length = counts[i] if i < len(counts) else len(tiff.data)
        yield Part(PIXELS, "pixels", at, length if most is None else min(length, most))
    if tiff.value(259, 1) == 6:  # JPEG of the old kind
        yield Part(PIXELS, "pixels", tiff.value(513, 0), tiff.value(514, 0))


def lacks_pixels(tiff: Tiff) -> bool:
    """Whether strips or tiles are missing, empty or cut: a decoder may make them up.

    Raises:
        ValueError: The first directory does not lie in the file.
    """
    offsets = tiff.numbers(tiff.entry(273)) or tiff.numbers(tiff.entry(324))
    counts = tiff.numbers(tiff.entry(279)) or tiff.numbers(tiff.entry(325))
    width, height = tiff.value(256, 0), tiff.value(257, 0)
    across, down = tiff.value(322, 0), tiff.value(323, 0)
    if across and down:
        wanted = -(-width // across) * -(-height // down)
    else:
        wanted = -(-height // max(1, min(tiff.value(278, 2**32 - 1), height)))
    planes = tiff.value(277, 1) if tiff.value(284, 1) == 2 else 1
    if len(offsets) < wanted * planes or (counts and len(counts) < len(offsets)):
        return True
    for i, at in enumerate(offsets):
        length = counts[i] if counts else 1
        if at == 0 or length == 0 or at + length > len(tiff.data):
            return True
        most = _bytes_of_block(tiff, i)
        if counts and most is not None and length < most:
            return True
    return False


def _bytes_of_block(tiff: Tiff, number: int) -> int | None:
    """Bytes of an uncompressed strip or tile; None if they are compressed."""
    if tiff.value(259, 1) != 1:
        return None
    samples = 1 if tiff.value(284, 1) == 2 else tiff.value(277, 1)
    height = tiff.value(257, 0)
    rows = tiff.value(323, 0)
    if not rows:
        most = max(1, min(tiff.value(278, 2**32 - 1), height))
        in_plane = max(1, -(-height // most))
        rows = min(most, height - number % in_plane * most)
    width = tiff.value(322, tiff.value(256, 0))
    return (width * samples * tiff.value(258, 1) + 7) // 8 * rows


def as_exif(data: bytes) -> bytes | None:
    """All tags but those on the structure of the file, as an EXIF block, byte for byte.

    Profile, XMP and IPTC are left out too: they have places of their own.

    Raises:
        ValueError: A tag does not lie in the file, or is of a type that EXIF does not have.
    """
    tiff = Tiff(data)
    entries = [
        entry
        for entry in tiff.first.entries
        if entry.tag not in STRUCTURAL and entry.tag not in _NAMES
    ]
    if not entries:
        return None
    start = struct.pack(tiff.order + "2sHL", data[:2], 42, 8)
    return start + directory_of(tiff, entries, 8)


def directory_of(tiff: Tiff, entries: list[Entry], at: int, depth: int = 0) -> bytes:
    """A directory with its values and those below it, to lie at an offset.

    Args:
        tiff: Whose entries they are.
        entries: In any order.
        at: The offset.
        depth: Directories above it.

    Raises:
        ValueError: A value is not in the file, or of a type that EXIF does not have.
    """
    if depth > _DEEPEST:
        raise ValueError("TIFF: its directories point at one another")
    rows, behind = [], b""
    start = at + 2 + 12 * len(entries) + 4
    for entry in sorted(entries, key=lambda entry: entry.tag):
        kind, count, raw = entry.type, entry.count, tiff.raw(entry)
        if entry.tag in (EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY):
            numbers = tiff.numbers(entry)
            if len(numbers) != 1:
                raise ValueError(f"TIFF: tag {entry.tag} points at {len(numbers)} directories")
            place = start + len(behind)
            below = list(tiff.directory(numbers[0]).entries)
            behind += directory_of(tiff, below, place, depth + 1)
            kind, count, raw = 4, 1, struct.pack(tiff.order + "L", place)
        if kind not in SIZES:
            raise ValueError(f"TIFF: tag {entry.tag} is of type {kind}, which EXIF does not have")
        if len(raw) > 4:
            place = start + len(behind)
            behind += raw + b"\0" * (len(raw) % 2)
            raw = struct.pack(tiff.order + "L", place)
        rows.append(struct.pack(tiff.order + "HHL", entry.tag, kind, count) + raw.ljust(4, b"\0"))
    head = struct.pack(tiff.order + "H", len(rows)) + b"".join(rows) + b"\0\0\0\0"
    return head + behind
