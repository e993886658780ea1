"""The parts of a file: every byte of it belongs to exactly one.

A walker of a format gives a list of parts that tile the file from its first byte to its last. It is
a whitelist: what a walker does not know by name is `UNKNOWN`, whatever it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["pixels", "structure", "metadata", "unknown"]

PIXELS: Final = "pixels"
"""What a decoder turns into samples."""
STRUCTURE: Final = "structure"
"""What says how the file is written: a writer of the format makes it again."""
METADATA: Final = "metadata"
"""What is read into a field of a photo, by the part's name."""
UNKNOWN: Final = "unknown"
"""Everything else: carried as it is, or the reason why a source is kept."""


@dataclass(frozen=True, slots=True)
class Part:
    """A run of bytes of a file."""

    kind: Kind
    name: str
    """What it is called in its format: `APP1`, `tEXt`, `box uuid`, `trailer`."""
    offset: int
    """Bytes from the start of the file."""
    length: int
    """Bytes."""

    @property
    def end(self) -> int:
        """Offset behind its last byte."""
        return self.offset + self.length

    def of(self, data: bytes) -> bytes:
        """Its bytes."""
        return data[self.offset : self.end]


def tiled(found: Iterable[Part], data: bytes, *, gap: str = "bytes between parts") -> list[Part]:
    """Sort parts and fill what none of them covers.

    Args:
        found: Parts in any order. Where two overlap, the one that starts first keeps the bytes;
            of two that start together, the longer one.
        data: The file.
        gap: What uncovered bytes are called.

    Returns:
        Parts without empty ones that tile the file. Uncovered zeros are structure, since writers
        pad with them; other uncovered bytes are unknown.
    """
    parts: list[Part] = []
    at = 0
    for part in sorted(found, key=lambda part: (part.offset, -part.length)):
        start, end = max(part.offset, at), min(part.end, len(data))
        if end <= start:
            continue
        if start > at:
            parts.append(uncovered(data, at, start, gap))
        parts.append(Part(part.kind, part.name, start, end - start))
        at = end
    if at < len(data):
        parts.append(uncovered(data, at, len(data), "trailer"))
    return parts


def framed(part: Part, header: int, behind: int = 0, *, called: str = "chunk header") -> list[Part]:
    """What a file is made of around a part: its header, the part, and what stands behind it.

    A part that says nothing but that it is there, a chunk without content, is in its header: then
    that is not structure, which any file of the kind has, but unknown, and carried as such.

    Args:
        part: The content.
        header: Bytes before it that name it and state its length.
        behind: Bytes behind it, such as a check sum.
        called: What the header is called.
    """
    start = part.offset - header
    if not part.length and part.kind in (METADATA, UNKNOWN):
        return [Part(UNKNOWN, part.name, start, header + behind)]
    found = [Part(STRUCTURE, called, start, header), part]
    return [*found, Part(STRUCTURE, "check sum", part.end, behind)] if behind else found


def uncovered(data: bytes, start: int, end: int, name: str) -> Part:
    """A part of bytes that nothing names: structure if they are all zero."""
    kind: Kind = UNKNOWN if data[start:end].strip(b"\0") else STRUCTURE
    return Part(kind, name, start, end - start)
