"""Bytes and qualities of all that is archived, added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

STEPS: Final = pa.schema(
    [
        pa.field("step", pa.int64()),
        pa.field("count", pa.int64()),
        pa.field("sources", pa.int64()),
        pa.field("stored", pa.int64()),
    ]
)
"""Of each two decibels: -1 of what was not measured, 99 of what is exact or nearly."""

STEP: Final = 2
"""Decibels."""

_EXACT: Final = 99


@dataclass(frozen=True, slots=True)
class Totals:
    """What an archive holds, all targets together."""

    renditions: int
    source_bytes: int
    """Of the sources of all renditions: one that has two targets counts twice."""
    lr_bytes: int
    quality: tuple[tuple[str, int], ...]
    """Decibels in words, and how many renditions reached them; those measured alone."""

    @classmethod
    def of(cls, steps: Sequence[dict[str, Any]]) -> Totals:
        """Add up the rows of `STEPS`."""
        return cls(
            renditions=sum(step["count"] for step in steps),
            source_bytes=sum(step["sources"] for step in steps),
            lr_bytes=sum(step["stored"] for step in steps),
            quality=tuple(
                (_name(step["step"]), step["count"]) for step in steps if step["step"] >= 0
            ),
        )


def _name(step: int) -> str:
    return "exact" if step == _EXACT else f"{step} to {step + STEP}"
