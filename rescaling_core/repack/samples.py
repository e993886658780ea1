"""Where the samples of an uncompressed picture lie in a file, and what they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rescaling_core.containers.tiff import Directory, Tiff

if TYPE_CHECKING:
    from collections.abc import Iterator

_NETPBM: Final = re.compile(
    rb"P([56])(?:[ \t\r\n]+|#[^\n]*\n)+(\d{1,6})[ \t\r\n]+(\d{1,6})[ \t\r\n]+(\d{1,5})[ \t\r\n]"
)
_MOST_PAGES: Final = 4096
_LEAST: Final = 64
"""Bytes: of fewer, the description takes more than coding them saves."""


@dataclass(frozen=True, slots=True)
class Samples:
    """A picture of whole rows of whole bytes, in runs that need not be neighbours."""

    runs: tuple[tuple[int, int], ...]
    """Offset and length of each, in the order of the rows."""
    width: int
    """Pixels in a row."""
    bands: int
    """Samples in a pixel."""
    size: int
    """Bytes in a sample: 1, 2 or 4."""
    big_endian: bool


def samples_in(data: bytes) -> list[Samples]:
    """Find what can be predicted: pages of a TIFF without compression, and raw Netpbm.

    What overlaps, or does not lie in the file, is left out: all bytes come back in any case.
    """
    try:
        found = list(_of_tiff(data)) if data[:2] in (b"II", b"MM") else list(_of_netpbm(data))
    except ValueError:
        return []
    taken: list[tuple[int, int]] = []
    kept = []
    for samples in found:
        spans = [(at, at + length) for at, length in samples.runs]
        everything = sorted([*taken, *spans])
        apart = all(a[1] <= b[0] for a, b in pairwise(everything))
        inside = everything[-1][1] <= len(data) if everything else False
        total = sum(length for _, length in samples.runs)
        row = samples.width * samples.bands * samples.size
        if apart and inside and total >= _LEAST and row and total % row == 0:
            taken = everything
            kept.append(samples)
    return kept


def _of_netpbm(data: bytes) -> Iterator[Samples]:
    match = _NETPBM.match(data)
    if match is None:
        return
    bands = 3 if match[1] == b"6" else 1
    width, height, most = int(match[2]), int(match[3]), int(match[4])
    size = 2 if most > 255 else 1
    yield Samples(((match.end(), width * height * bands * size),), width, bands, size, True)


def _of_tiff(data: bytes) -> Iterator[Samples]:
    tiff = Tiff(data)
    waiting, seen = [tiff.first], {tiff.first.at}
    while waiting and len(seen) < _MOST_PAGES:
        directory = waiting.pop(0)
        found = _of_directory(tiff, directory)
        if found is not None:
            yield found
        following = [directory.following]
        for entry in directory.entries:
            if entry.tag == 330:
                following += tiff.numbers(entry)
        for at in following:
            if at and at not in seen:
                seen.add(at)
                waiting.append(tiff.directory(at))


def _of_directory(tiff: Tiff, directory: Directory) -> Samples | None:
    by_tag = {entry.tag: tiff.numbers(entry) for entry in directory.entries}

    def first(tag: int, default: int) -> int:
        return next(iter(by_tag.get(tag, ())), default)

    depths = set(by_tag.get(258) or (1,))
    if first(259, 1) != 1 or len(depths) != 1:
        return None
    starts = by_tag.get(273) or by_tag.get(324) or ()
    lengths = by_tag.get(279) or by_tag.get(325) or ()
    if not starts or len(starts) != len(lengths) or 0 in lengths:
        return None
    width = first(322, first(256, 0))
    bands = 1 if first(284, 1) == 2 else first(277, 1)
    depth = depths.pop()
    if depth not in (8, 16, 32):  # rows of packed bits are predicted as bytes
        width, bands, depth = (width * bands * depth + 7) // 8, 1, 8
    runs = tuple(zip(starts, lengths, strict=True))
    return Samples(runs, width, bands, depth // 8, tiff.order == ">")
