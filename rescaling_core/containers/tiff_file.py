"""Writing a TIFF: tags byte for byte as they were read, and strips of deflated samples.

Pillow writes no EXIF directories into a compressed TIFF, and chooses types of tags itself.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.containers import tiff
from rescaling_core.containers.tiff import STRUCTURAL, Entry, Tiff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.pixels.arrays import U8Array

_NO_TAGS: Final = struct.pack("<2sHLHL", b"II", 42, 8, 0, 0)
_STRIP: Final = 2**18
"""Bytes of samples in a strip, about."""
_LEVEL: Final = 3
"""zlib's: higher ones take far longer for a hundredth of the bytes."""
_DEFLATE, _DIFFERENCES = 8, 2
SHORT, LONG, RATIONAL, BYTE, UNDEFINED = 3, 4, 5, 1, 7


def file_of(
    samples: U8Array, tags: Mapping[int, tuple[int, bytes]], block: bytes | None = None
) -> bytes:
    """Write a picture of 8-bit samples.

    Args:
        samples: (H, W, C): grey or RGB, each with alpha or without.
        tags: Type and bytes, little-endian, of further tags by number.
        block: An EXIF block, whose tags come first into the file; byte orders must agree then.

    Raises:
        ValueError: A directory of the block is damaged, or something does not fit into 4 GiB.
    """
    read = Tiff(block or _NO_TAGS)
    height, width, bands = samples.shape
    rows = max(1, min(height, _STRIP // (width * bands)))
    strips = [_coded(samples[top : top + rows]) for top in range(0, height, rows)]
    starts = np.cumsum([8, *map(len, strips)])
    if starts[-1] > 2**31:
        raise ValueError("TIFF: a picture of more than 2 GiB, coded")

    def shorts(*values: int) -> tuple[int, bytes]:
        return SHORT, struct.pack(f"{read.order}{len(values)}H", *values)

    def longs(*values: int) -> tuple[int, bytes]:
        return LONG, struct.pack(f"{read.order}{len(values)}L", *values)

    own = dict(tags) | {
        256: longs(width),
        257: longs(height),
        258: shorts(*[8] * bands),
        259: shorts(_DEFLATE),
        262: shorts(2 if bands >= 3 else 1),
        273: longs(*map(int, starts[:-1])),
        277: shorts(bands),
        278: longs(rows),
        279: longs(*map(len, strips)),
        317: shorts(_DIFFERENCES),
    }
    if bands in (2, 4):
        own[338] = shorts(2)  # alpha that is not premultiplied
    entries = [one for one in read.first.entries if one.tag not in STRUCTURAL | own.keys()]
    at, values = len(read.data), b""
    for tag, (kind, raw) in own.items():
        entries.append(Entry(tag, kind, len(raw) // tiff.SIZES[kind], at + len(values), len(raw)))
        values += raw
    place = int(starts[-1]) + int(starts[-1]) % 2
    with_values = Tiff(read.data + values)
    head = struct.pack(f"{read.order}2sHL", read.data[:2], 42, place)
    body = (head + b"".join(strips)).ljust(place, b"\0")
    return body + tiff.directory_of(with_values, entries, place)


def _coded(rows: U8Array) -> bytes:
    """Rows as differences from the sample of the same band before, deflated."""
    differences = rows.copy()
    differences[:, 1:] -= rows[:, :-1]
    return zlib.compress(differences.tobytes(), _LEVEL)
