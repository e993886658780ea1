"""Large images piece by piece, so that what is computed of them needs little memory at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

STRIP: Final = 2**21
"""Approximate number of pixels in a strip; smaller images are one strip."""


def strips(shape: tuple[int, ...], overlap: int = 0) -> Iterator[tuple[slice, slice]]:
    """Cut an image across its longer side.

    Args:
        shape: (H, W, …).
        overlap: Lines that each strip shares with the next one: as many as a window is longer
            than one line, where every position of the window is to be met once.

    Yields:
        (rows, columns) of each strip, in order.
    """
    height, width = shape[:2]
    lines, across = max(height, width), min(height, width)
    step = max(1, STRIP // across)
    for start in range(0, lines - overlap, step):
        part, whole = slice(start, min(start + step + overlap, lines)), slice(None)
        yield (part, whole) if height >= width else (whole, part)
