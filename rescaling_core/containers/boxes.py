"""The boxes of ISO media files (AVIF, HEIC) and of JPEG XL containers.

Source: ISO/IEC 14496-12, 4.2; ISO/IEC 18181-2 uses the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Box:
    """A box of a file."""

    kind: bytes
    header: int
    """Offset of its header."""
    start: int
    """Offset of its content."""
    end: int


def walk(
    data: bytes, start: int = 0, end: int | None = None, *, strict: bool = False
) -> Iterator[Box]:
    """Walk boxes, without going into them.

    Args:
        data: The file.
        start: Offset of the first one.
        end: Where they end; by default with the file.
        strict: Refuse a box that reaches past the end. Otherwise that one and what follows it are
            left out.

    Raises:
        ValueError: A box reaches past the end, and that is to be refused.
    """
    stop = len(data) if end is None else end
    at = start
    while at + 8 <= stop:
        size, content = int.from_bytes(data[at : at + 4], "big"), at + 8
        if size == 1:
            size, content = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        last = stop if size == 0 else at + size
        if last < content or last > stop:
            if strict:
                raise ValueError(f"box {data[at + 4 : at + 8]!r} reaches past the end of the file")
            return
        yield Box(data[at + 4 : at + 8], at, content, last)
        at = last
