"""The orientation tag of an EXIF block, read and set without touching any other byte.

Pillow writes an EXIF block anew, which moves what makers' notes point at; a block is carried as
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
