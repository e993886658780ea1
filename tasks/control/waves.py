"""Cutting a run into waves: what Prefect sees of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import ceil
from typing import Final, TypeVar

Item = TypeVar("Item")

MAX_WAVES: Final = 50
"""Prefect's server is slow beyond about a hundred task runs a flow."""


def waves_of(items: Iterable[Item], *, total: int, at_least: int) -> Iterator[Sequence[Item]]:
    """Cut the items of a run into at most `MAX_WAVES` waves, of which one is held in memory.

    Args:
        items: Shards, checks, keys.
        total: How many they are, or are a part of.
        at_least: Items of a wave, the last one excepted: enough to keep the workers busy.
    """
    step = max(at_least, ceil(total / MAX_WAVES))
    left = iter(items)
    while wave := tuple(islice(left, step)):
        yield wave
