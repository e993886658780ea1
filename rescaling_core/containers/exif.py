"""The orientation tag of an EXIF block, read and set without touching any other byte.

Pillow rewrites an EXIF block, which moves what makers' notes point at; a block is carried as
it is, and where the tag must change it is changed in place.
"""

from __future__ import annotations

import struct
from typing import Final

PREFIX: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3


def without_prefix(exif: bytes | None) -> bytes | None:
    """The TIFF structure alone: some formats put `Exif` and two zeros before it."""
    if exif and exif.startswith(PREFIX):
        exif = exif[len(PREFIX) :]
    return exif or None


def orientation(exif: bytes | None) -> int:
    """The orientation, 1 to 8; 1 where none is stated or it makes no sense."""
    field = _orientation_field(exif)
    return field[2] if field else 1


def with_orientation(exif: bytes, value: int) -> bytes:
    """The same block with another orientation; a block that states none stays as it is."""
    field = _orientation_field(exif)
    if field is None:
        return exif
    at, order, _ = field
    return exif[:at] + struct.pack(order + "H", value) + exif[at + 2 :]


def with_stated_orientation(exif: bytes, value: int) -> bytes:
    """The same block with an orientation, which is added where none is stated.

    A tag is added by writing the first directory again behind the block, with one entry more: all
    other bytes stay where they are, so that what a maker's note points at does not move.
    """
    if _orientation_field(exif) is not None:
        return with_orientation(exif, value)
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return minimal(value)
    (directory,) = struct.unpack_from(order + "L", exif, 4)
    if directory + 2 > len(exif):
        return minimal(value)
    (count,) = struct.unpack_from(order + "H", exif, directory)
    end = directory + 2 + 12 * count
    if end > len(exif):
        return minimal(value)
    rows = [exif[at : at + 12] for at in range(directory + 2, end, 12)]
    rows = [row for row in rows if struct.unpack_from(order + "H", row)[0] != _ORIENTATION]
    rows.append(struct.pack(order + "HHLHH", _ORIENTATION, _SHORT, 1, value, 0))
    rows.sort(key=lambda row: int(struct.unpack_from(order + "H", row)[0]))
    behind = exif + b"\0" * (len(exif) % 2)
    head = struct.pack(order + "L", len(behind))
    following = exif[end : end + 4].ljust(4, b"\0")
    written = struct.pack(order + "H", len(rows)) + b"".join(rows) + following
    return behind[:4] + head + behind[8:] + written


def minimal(value: int) -> bytes:
    """An EXIF block that states an orientation and nothing else."""
    return struct.pack("<2sHLHHHLHHL", b"II", 42, 8, 1, _ORIENTATION, _SHORT, 1, value, 0, 0)


def _orientation_field(exif: bytes | None) -> tuple[int, str, int] | None:
    """(offset of the value, byte order, value) in the first directory."""
    order = {b"II": "<", b"MM": ">"}.get((exif or b"")[:2])
    if not exif or order is None or len(exif) < 8:
        return None
    (directory,) = struct.unpack_from(order + "L", exif, 4)
    if directory + 2 > len(exif):
        return None
    (count,) = struct.unpack_from(order + "H", exif, directory)
    for at in range(directory + 2, min(directory + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, values, value = struct.unpack_from(order + "HHLH", exif, at)
        if tag == _ORIENTATION and kind == _SHORT and values == 1:
            return (at + 8, order, value) if 1 <= value <= 8 else None
    return None
