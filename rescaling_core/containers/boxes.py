"""The boxes of ISO media files (AVIF, HEIC) and of JPEG XL containers.

Source: ISO/IEC 14496-12, 4.2; ISO/IEC 18181-2 uses the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def walk(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Walk the top-level boxes as (type, offset of the content, end).

    Raises:
        ValueError: A box reaches past the end of the file.
    """
    at = 0
    while at + 8 <= len(data):
        size, start = int.from_bytes(data[at : at + 4], "big"), at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        end = len(data) if size == 0 else at + size
        if end < start or end > len(data):
            raise ValueError(f"box {data[at + 4 : at + 8]!r} reaches past the end of the file")
        yield data[at + 4 : at + 8], start, end
        at = end


def first(data: bytes, kind: bytes) -> bytes | None:
    """The content of the first top-level box of a type.

    Raises:
        ValueError: A box before it reaches past the end of the file.
    """
    return next((data[start:end] for found, start, end in walk(data) if found == kind), None)
