"""Cutting a run into waves: what Prefect sees of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Final, TypeVar

Item = TypeVar("Item")

MAX_WAVES: Final = 50
"""Prefect's server is slow beyond about a hundred task runs a flow."""


def wave_size(total: int, *, at_least: int) -> int:
    """Items of a wave, so that `total` of them are at most `MAX_WAVES` waves."""
    return max(at_least, ceil(total / MAX_WAVES))


def waves_of(items: Sequence[Item], *, at_least: int) -> Iterator[Sequence[Item]]:
    """Cut the items of a run into at most `MAX_WAVES` waves.

    Args:
        items: Shards, requests, keys.
        at_least: Items of a wave, the last one excepted: enough to keep the workers busy.
    """
    step = wave_size(len(items), at_least=at_least)
    for start in range(0, len(items), step):
        yield items[start : start + step]
