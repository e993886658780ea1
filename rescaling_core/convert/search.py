"""The lowest quality that is good enough, in few tries."""

from __future__ import annotations

from math import ceil, isfinite
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

USUAL_SLOPE: Final = 0.2
"""dB that a step of quality gains, roughly, with every codec: a first guess and no more."""


def lowest_enough(
    low: int,
    high: int,
    slack: Callable[[int], float],
    *,
    start: int | None = None,
    slope: float = USUAL_SLOPE,
) -> int | None:
    """Find the lowest quality of non-negative slack, supposing that slack grows with quality.

    Interpolates between the tries on either side of zero, and halves the range every third time
    (but not as long as the first tries lie close to each other on one side), so that it takes few
    tries where slack is nearly straight and never many.

    Args:
        low: The lowest quality that may be tried.
        high: The highest.
        slack: Tries a quality; how far it lies above what is asked for, in dB or so. Infinite if
            all that is known is the side.
        start: The first quality to try.
        slope: What a step of quality gains, in dB or so, as far as it is known.

    Returns:
        A quality that was tried, is enough, and whose neighbour below was tried and is not enough
        or is below `low`; None if not even `high` is enough.
    """
    short: tuple[int, float] = (low - 1, -float("inf"))
    enough: tuple[int, float] = (high + 1, float("inf"))
    quality = (low + high) // 2 if start is None else min(max(start, low), high)
    tries = 0
    while True:
        value = slack(quality)
        tries += 1
        if value >= 0:
            enough = (quality, value)
        else:
            short = (quality, value)
        if enough[0] - short[0] <= 1:
            return enough[0] if enough[0] <= high else None
        quality = _next(short, enough, slope, tries=tries)


def _next(short: tuple[int, float], enough: tuple[int, float], slope: float, *, tries: int) -> int:
    (below, missing), (above, over) = short, enough
    one_sided = isfinite(missing) != isfinite(over)
    halve = tries % 3 == 0 and (tries > 3 or not one_sided)
    if halve or not (isfinite(missing) or isfinite(over)):
        return (below + above) // 2
    if tries == 3:  # the slope was too steep a guess
        slope /= 2
    if isfinite(missing) and isfinite(over):
        guess = below + (above - below) * -missing / (over - missing)
    elif isfinite(missing):
        guess = below - missing / slope
    else:
        guess = above - over / slope
    return min(max(ceil(guess), below + 1), above - 1)
