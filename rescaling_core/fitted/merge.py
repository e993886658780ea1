"""Which filters are worth their bytes: classes that want nearly the same one share it.

Everything is told from sums over pixels, so that no picture is looked at again. The arithmetic is
element by element in double precision: the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from rescaling_core.fitted.record import COEFFICIENT, MOST_FILTERS, TAPS, FittedFilter, size_of
from rescaling_core.fitted.seen import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

Sums = npt.NDArray[np.float64]
"""(…, taps + 1, taps + 1): products of all differences with one another and with what is missing,
which comes last."""

_DECIBEL: Final = 0.17
"""Share of a file's bytes that a decibel is worth, about."""

_DAMPING: Final = 0.25
"""Squared sixteenths of a level a pixel: noise that filters are to be proof against."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """Classes that get one filter."""

    classes: tuple[int, ...]
    sums: Sums
    gain: float
    """What the filter takes off the squared error."""


def worth_having(sums: Sums, counts: npt.NDArray[np.int64], nbytes: int) -> FittedFilter | None:
    """The filters that save most bytes, in estimate, after their own; None if none saves any.

    Args:
        sums: (classes, taps + 1, taps + 1), of each class.
        counts: Pixels of each class.
        nbytes: Of the file whose picture is filtered: what a decibel is worth depends on it.
    """
    damped = sums.copy()
    axis = np.arange(sums.shape[1] - 1)
    damped[:, axis, axis] += _DAMPING * counts[:, None]
    error = float(sums[:, -1, -1].sum())
    best: tuple[float, FittedFilter] | None = None
    for taps in TAPS:
        chosen = [*range(taps), sums.shape[1] - 1]
        given = damped[:, chosen][:, :, chosen]
        for shared in _merged(given, counts):
            found = _quantised(shared, sums[:, chosen][:, :, chosen], error, nbytes)
            if found is not None and (best is None or found[0] > best[0]):
                best = found
    return None if best is None else best[1]


def _merged(sums: Sums, counts: npt.NDArray[np.int64]) -> list[list[_Shared]]:
    """From many filters to one: those that lose least by it are joined, step by step."""
    there = np.flatnonzero(counts)
    gains = _gains(sums[there])
    now = [
        _Shared((int(number),), sums[number], float(gain))
        for number, gain in zip(there, gains, strict=True)
    ]
    losses: dict[tuple[int, int], tuple[float, float]] = {}
    alive = dict(enumerate(now))
    _compare(alive, losses, [(i, j) for i in alive for j in alive if i < j])
    found = [now] if len(now) <= MOST_FILTERS else []
    following = len(now)
    while len(alive) > 1:
        pair = min(losses, key=lambda one: (losses[one][0], one))
        first, second = (alive.pop(one) for one in pair)
        joined = _Shared(first.classes + second.classes, first.sums + second.sums, losses[pair][1])
        losses = {one: loss for one, loss in losses.items() if not set(one) & set(pair)}
        others = [(one, following) for one in alive]
        alive[following] = joined
        _compare(alive, losses, others)
        following += 1
        if len(alive) <= MOST_FILTERS:
            found.append(list(alive.values()))
    return found


def _compare(
    alive: dict[int, _Shared],
    losses: dict[tuple[int, int], tuple[float, float]],
    pairs: Sequence[tuple[int, int]],
) -> None:
    """What each pair would lose if it shared a filter, and gain by that."""
    if not pairs:
        return
    joined = _gains(np.stack([alive[i].sums + alive[j].sums for i, j in pairs]))
    for (i, j), gain in zip(pairs, joined, strict=True):
        losses[i, j] = (alive[i].gain + alive[j].gain - float(gain), float(gain))


def _gains(sums: Sums) -> npt.NDArray[np.float64]:
    """What the best filter takes off the squared error of each."""
    reduced = _eliminated(sums)
    axis = np.arange(sums.shape[1] - 1)
    squares = reduced[:, axis, -1] ** 2 / reduced[:, axis, axis]
    total = np.zeros(len(sums))
    for at in axis:
        total += squares[:, at]
    return total


def _eliminated(sums: Sums) -> Sums:
    """Gauss' elimination of all but the last row; what is damped needs no pivots."""
    rows = sums[:, :-1].copy()
    for at in range(rows.shape[1] - 1):
        factors = rows[:, at + 1 :, at] / rows[:, at, at, None]
        rows[:, at + 1 :] -= factors[:, :, None] * rows[:, at, None]
    return rows


def _solved(sums: Sums) -> npt.NDArray[np.float64]:
    """The best filter of each."""
    rows = _eliminated(sums)
    taps = rows.shape[1]
    found = np.zeros((len(sums), taps))
    for at in range(taps - 1, -1, -1):
        left = rows[:, at, -1].copy()
        for later in range(at + 1, taps):
            left -= rows[:, at, later] * found[:, later]
        found[:, at] = left / rows[:, at, at]
    return found


def _quantised(
    shared: Sequence[_Shared], sums: Sums, error: float, nbytes: int
) -> tuple[float, FittedFilter] | None:
    """Bytes that filters save in whole numbers, those that save none left out."""
    wanted = _solved(np.stack([one.sums for one in shared]))
    levels = np.clip(np.rint(wanted * COEFFICIENT), -128, 127)
    taps = levels.shape[1]
    kept: list[tuple[int, ...]] = []
    classes = [0] * CLASSES
    total = 0.0
    for one, row in zip(shared, levels, strict=True):
        gain = _gain_of(row / COEFFICIENT, sums[list(one.classes)].sum(axis=0))
        if _bytes_saved(gain, error, nbytes) <= taps:
            continue
        total += gain
        kept.append(tuple(int(level) for level in row))
        for number in one.classes:
            classes[number] = len(kept)
    if not kept:
        return None
    saved = _bytes_saved(total, error, nbytes) - size_of(len(kept), taps)
    return (saved, FittedFilter(tuple(classes), tuple(kept))) if saved > 0 else None


def _gain_of(row: npt.NDArray[np.float64], sums: Sums) -> float:
    """What a filter takes off the squared error of the pixels of some sums."""
    gain = 0.0
    for at, one in enumerate(row):
        gain += 2 * float(one) * float(sums[at, -1])
        for beside, other in enumerate(row):
            gain -= float(one) * float(other) * float(sums[at, beside])
    return gain


def _bytes_saved(gain: float, error: float, nbytes: int) -> float:
    """What less squared error is worth."""
    left = max(error - gain, error / 100)
    return nbytes * _DECIBEL * 10 * log10(error / left) if error > 0 else 0.0
