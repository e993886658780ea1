"""Camera raw files: the JPEG pictures that cameras put into them.

Sources: TIFF 6.0; DNG 1.7 (`SubIFDs`, `NewSubfileType`); TIFF/EP (CFA). Fujifilm's header states
where its JPEG lies; Panasonic's tag 46 holds one.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from rescaling_core.containers import jpeg
from rescaling_core.containers.tiff import Directory, Tiff

if TYPE_CHECKING:
    from collections.abc import Iterator

_FUJIFILM: Final = b"FUJIFILMCCD-RAW"
_OTHER_VERSIONS: Final = (b"IIRO", b"IIRS", b"IIU\0")
"""Olympus and Panasonic: TIFF but for its version."""
_SUB_DIRECTORIES: Final = 330
_DNG_VERSION: Final = 50706
_SENSOR: Final = (32803, 34892)
"""Photometric interpretations of a sensor's own samples: a colour filter array, linear raw."""
_PANASONIC_JPEG: Final = 46
_MOST_DIRECTORIES: Final = 64
_BASELINE: Final = (0xC0, 0xC1, 0xC2)
"""Frames that decoders show; lossless ones hold a sensor's samples."""


def is_raw(data: bytes) -> bool:
    """Whether a file is a camera's raw file of a kind whose pictures are found here."""
    if data.startswith((_FUJIFILM, *_OTHER_VERSIONS)):
        return True
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return False
    if data[8:10] == b"CR":
        return True
    try:
        tiff = Tiff(data)
        if tiff.entry(_DNG_VERSION) is not None:
            return True
        return any(_first(tiff, one, 262) in _SENSOR for one in _directories(tiff))
    except ValueError:
        return False  # its directory is damaged: a decoder may still read it as a TIFF


def orientation(data: bytes) -> int:
    """The orientation of a raw file, 1 to 8; 1 where it states none."""
    if data.startswith(_FUJIFILM):
        return 1  # its JPEG states its own
    found = _tiff_of(data).value(274, 1)
    return found if found in range(1, 9) else 1


def largest_jpeg(data: bytes) -> tuple[int, int] | None:
    """Where the JPEG of the most pixels lies that a raw file's directories name.

    Returns:
        Its offset and length; None if there is none.

    Raises:
        ValueError: The first directory does not lie in the file.
    """
    found = [
        (pixels, at, length)
        for at, length in _named(data)
        if (pixels := _pixels(data[at : at + length]))
    ]
    if not found:
        return None
    _, at, length = max(found)
    return at, length


def _named(data: bytes) -> Iterator[tuple[int, int]]:
    """Offsets and lengths of what may be a JPEG."""
    if data.startswith(_FUJIFILM):
        if len(data) >= 92:
            at, length = struct.unpack_from(">II", data, 84)
            yield at, length
        return
    tiff = _tiff_of(data)
    for directory in _directories(tiff):
        by_tag = {entry.tag: entry for entry in directory.entries}
        for places, lengths in ((513, 514), (273, 279)):
            at = tiff.numbers(by_tag.get(places))
            length = tiff.numbers(by_tag.get(lengths))
            if len(at) == len(length) == 1:
                yield at[0], length[0]
        held = by_tag.get(_PANASONIC_JPEG)
        if held is not None and held.type in (1, 7):
            yield held.at, held.length


def _pixels(file: bytes) -> int:
    """Width × height of a JPEG that decoders show; 0 of anything else."""
    if not file.startswith(b"\xff\xd8\xff"):
        return 0
    try:
        for marker, start, end in jpeg.walk(file):
            if marker in jpeg.FRAMES:
                if marker not in _BASELINE or end - start < 6 or file[start] != 8:
                    return 0
                height, width = struct.unpack_from(">HH", file, start + 1)
                return int(width * height)
    except ValueError:
        return 0
    return 0


def _tiff_of(data: bytes) -> Tiff:
    if data.startswith(_OTHER_VERSIONS):
        data = data[:2] + b"*\0" + data[4:]
    return Tiff(data)


def _directories(tiff: Tiff) -> Iterator[Directory]:
    """All that the first one leads to, each once."""
    waiting, seen = [tiff.first], {tiff.first.at}
    while waiting and len(seen) <= _MOST_DIRECTORIES:
        directory = waiting.pop(0)
        yield directory
        places = [directory.following]
        for entry in directory.entries:
            if entry.tag == _SUB_DIRECTORIES:
                places += tiff.numbers(entry)[:_MOST_DIRECTORIES]
        for at in places:
            if not at or at in seen:
                continue
            seen.add(at)
            try:
                waiting.append(tiff.directory(at))
            except ValueError:  # of a maker's own kind, or damaged: nothing is shown of it
                continue


def _first(tiff: Tiff, directory: Directory, tag: int) -> int | None:
    entry = next((one for one in directory.entries if one.tag == tag), None)
    return next(iter(tiff.numbers(entry)), None)
