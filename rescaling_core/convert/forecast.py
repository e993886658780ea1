"""What a candidate would take, foretold by a fast setting of its codec.

A fast encode costs a tenth of one in earnest, and its quality lies a nearly constant number of
steps beside: so the search in earnest starts next to its end, and what would lose by far need not
be searched at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, inf, isfinite, log
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.codecs.traits import Quick

_MOST_TRIES: Final = 5
_NEAR: Final = 1.5
"""Steps of quality: a try so near to the floor ends the forecast."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where a candidate is expected to reach the floor."""

    at: float
    """Among the steps of quality, counted from the lowest; beyond the last: not expected to."""
    slope: float
    """dB, or about, that a step gains there."""
    nbytes: float
    """Of the file there; infinite where it is not expected to reach the floor."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What one fast try showed."""

    slack: float
    """How far above the floor, in dB or about."""
    nbytes: int


def foretell(
    count: int, glance: Callable[[int], Glimpse], quick: Quick, *, start: int, slope: float
) -> Forecast:
    """Find about where the floor is reached, in two to five fast tries.

    Args:
        count: Steps of quality there are.
        glance: Tries a step, fast.
        quick: How fast and earnest tries compare.
        start: The step to try first.
        slope: dB that a step usually gains.
    """
    seen: dict[int, Glimpse] = {}
    step = min(max(start, 0), count - 1)
    while True:
        seen[step] = glance(step)
        short = max((at for at, one in seen.items() if one.slack < 0), default=None)
        enough = min((at for at, one in seen.items() if one.slack >= 0), default=None)
        near = abs(seen[step].slack) <= _NEAR * slope and len(seen) > 1
        closed = short is not None and enough is not None and enough - short <= 1
        if near or closed or enough == 0 or short == count - 1 or len(seen) == _MOST_TRIES:
            break
        step = _next(seen, short, enough, count, slope)
    return _read(seen, count, quick, slope)


def _next(
    seen: dict[int, Glimpse], short: int | None, enough: int | None, count: int, slope: float
) -> int:
    if short is not None and enough is not None:
        below, above = seen[short].slack, seen[enough].slack
        share = -below / (above - below) if isfinite(above - below) else 0.5
        return min(max(round(short + share * (enough - short)), short + 1), enough - 1)
    if short is not None:
        gap = -seen[short].slack / slope
        return min(count - 1, short + max(2, ceil(gap) if isfinite(gap) else count))
    assert enough is not None
    gap = seen[enough].slack / slope
    return max(0, enough - max(2, ceil(gap) if isfinite(gap) else enough))


def _read(seen: dict[int, Glimpse], count: int, quick: Quick, usual: float) -> Forecast:
    """Lay a line through the two tries nearest to the floor."""
    finite = [at for at, one in seen.items() if isfinite(one.slack)]
    nearest = sorted(finite, key=lambda at: abs(seen[at].slack))[:2]
    if not nearest:
        enough = min((at for at, one in seen.items() if one.slack >= 0), default=None)
        nbytes = inf if enough is None else quick.ratio * seen[enough].nbytes
        return Forecast(count if enough is None else enough, usual, nbytes)
    first, other = nearest[0], nearest[-1]
    slope, growth = usual, 0.06
    if other != first:
        run = other - first
        slope = max((seen[other].slack - seen[first].slack) / run, usual / 10)
        growth = (log(seen[other].nbytes) - log(seen[first].nbytes)) / run
    at = first - seen[first].slack / slope
    if at > count - 1:
        return Forecast(at + quick.shift, slope, inf)
    at = max(at, 0.0)
    nbytes = quick.ratio * seen[first].nbytes * exp(growth * (at - first))
    return Forecast(at + quick.shift, slope, nbytes)
