"""The quantisation tables that most JPEG files have: those of the standard, scaled by a quality.

Sources: ITU-T T.81, Annex K.1, for the tables; the Independent JPEG Group's `jcparam.c`, whose rule
nearly all programs follow, for the quality of 1 to 100.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

LUMA_TABLE: Final = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Quantisation table of luma at quality 50: ITU-T T.81, table K.1."""
CHROMA_TABLE: Final = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""Quantisation table of chroma at quality 50: ITU-T T.81, table K.2."""

Table = tuple[int, ...]
"""64 divisors, in natural (not zigzag) order."""


def standard_table(number: int, quality: int) -> Table:
    """A table of the standard at a quality.

    Args:
        number: Of the table in its file: the first is for luma, all others for colours.
        quality: 1 to 100.

    Raises:
        ValueError: There is no such quality.
    """
    if quality not in range(1, 101):
        raise ValueError(f"quality {quality!r} is not one of 1 to 100")
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    scaled = (np.array(CHROMA_TABLE if number else LUMA_TABLE) * percent + 50) // 100
    return tuple(int(divisor) for divisor in scaled.clip(1, 255).ravel())


def standard_qualities(tables: tuple[Table, ...]) -> tuple[int, ...] | None:
    """The qualities that give all tables of a file; None where one is not of the standard."""
    qualities = [_qualities(number > 0).get(table) for number, table in enumerate(tables)]
    found = tuple(quality for quality in qualities if quality is not None)
    return found if found and len(found) == len(tables) else None


@cache
def _qualities(colour: bool) -> dict[Table, int]:
    """The quality of every scaled table."""
    return {standard_table(int(colour), quality): quality for quality in range(1, 101)}
