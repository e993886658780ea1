"""One candidate, at as many qualities as it takes."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, log
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from rescaling_core.convert.rivals import NOTHING, Cost
from rescaling_core.convert.search import lowest_enough

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rescaling_core.convert.trial import Encoded
    from rescaling_core.pixels.arrays import U8Array

_STEEPNESS: Final = 5.0
"""Files grow by about 4 % for a step of quality: times this, like the search's usual slope."""


@dataclass(frozen=True, slots=True)
class Plain:
    """A file whose restoration is at hand: without the restorer, or with a fitted filter."""

    encoded: Encoded
    restored: U8Array
    """What it restores to, which is at hand."""

    @property
    def nbytes(self) -> int:
        """Of the file."""
        return len(self.encoded.data)


Fit: TypeAlias = "Callable[[U8Array], Plain | None]"
"""Gives a file with a filter fitted to what it restores to; None where none pays."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A file, and how to restore from it, which may take far longer than to make it."""

    encoded: Encoded
    restore: Callable[[], U8Array]
    plain: Plain | None = None
    """The same file without its restorer, where that is enough: it is a little smaller."""
    fit: Fit | None = None
    """The same file with a filter fitted to what it restores to, where a little is missing."""

    @property
    def nbytes(self) -> int:
        """Of the file."""
        return len(self.encoded.data)


class Judge(Protocol):
    """Knows what has been found so far."""

    limit: int
    """Bytes: a file of as many or more cannot win."""

    def is_too_large(self, encoded: Encoded) -> bool:
        """Whether a file cannot win; it is noted."""

    def judge(self, encoded: Encoded, restored: U8Array) -> float:
        """Measure a restoration; its slack, below 0 where it misses the floor."""

    def weigh(self, encoded: Encoded, restored: U8Array) -> float:
        """The slack of a file that cannot win: it is measured, but not remembered."""


RESTORED: Final = 0.25
"""dB that a restorer adds, roughly: a guess that only shortens searches."""
FITTED: Final = 0.1
"""The same of a fitted filter."""
_MOST_FITTED: Final = 1.0
"""dB below the floor from which on no filter is fitted, before it is known what one adds."""
_MOST_FITTED_BEHIND: Final = 0.1
"""The same behind a restorer, which leaves little."""

_CLEARLY: Final = 1.25
"""A file that misses the floor by so many times what the restorer, or a filter, last added misses
it still with it. From one step of quality to the next what it adds changes by a twentieth."""


@dataclass(slots=True)
class Trials:
    """Measures the files of one candidate, and learns what its restorer and a filter add."""

    judge: Judge
    _gain: float | None = None
    """What the restorer added to the last file that was restored, in dB or about."""
    _fitted: float | None = None
    """What a fitted filter added to the last file that got one."""

    def slack(self, attempt: Attempt) -> tuple[float, int]:
        """Measure a file, without its restorer first; its slack, and the bytes it then has.

        Restoring takes as long as encoding: a file that is clearly not good enough is not restored.
        """
        plain, judge = attempt.plain, self.judge
        without = -inf
        if plain is not None:
            without = judge.judge(plain.encoded, plain.restored)
            if without >= 0:
                return without + RESTORED, plain.nbytes
            if self._gain is not None and without < -_CLEARLY * self._gain:
                return without + self._gain, attempt.nbytes
        restored = attempt.restore()
        slack = judge.judge(attempt.encoded, restored)
        if slack > without and isfinite(slack - without):
            self._gain = slack - without
        if attempt.fit is None:
            return slack, attempt.nbytes
        if slack >= 0:
            return slack + (self._fitted or FITTED), attempt.nbytes
        return self._with_filter(attempt, attempt.fit, restored, slack)

    def weigh(self, attempt: Attempt) -> float:
        """The slack of a file that cannot win, with what a filter would add to it, about."""
        slack = self.judge.weigh(attempt.encoded, attempt.restore())
        return slack if attempt.fit is None else slack + (self._fitted or FITTED)

    def _with_filter(
        self, attempt: Attempt, fit: Fit, restored: U8Array, slack: float
    ) -> tuple[float, int]:
        """Fit a filter, unless so much is missing that it would not do.

        Args:
            attempt: A file that misses the floor.
            fit: Its own.
            restored: What it restores to.
            slack: Of that.
        """
        reach = _MOST_FITTED if attempt.plain is None else _MOST_FITTED_BEHIND
        if self._fitted is not None:
            reach = _CLEARLY * self._fitted
        if slack < -reach:
            return slack, attempt.nbytes
        better = fit(restored)
        if better is None or self.judge.is_too_large(better.encoded):
            return slack, attempt.nbytes
        filtered = self.judge.judge(better.encoded, better.restored)
        if filtered > slack and isfinite(filtered - slack):
            self._fitted = filtered - slack
        return filtered, better.nbytes


def try_once(trials: Trials, attempt: Attempt) -> Cost:
    """Try a candidate of one quality."""
    if trials.judge.is_too_large(attempt.encoded):
        return Cost(attempt.nbytes, at_least=True)
    slack, nbytes = trials.slack(attempt)
    return Cost(nbytes) if slack >= 0 else NOTHING


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a search ended."""

    cost: Cost
    step: int | None = None
    """The lowest that reaches the floor; None if none is known to."""
    slack: float = inf
    """Of that step, in dB or about."""
    below: float = -inf
    """Of the step below it; infinite where it was not measured."""


class _InVainError(Exception):
    """A file that is too large misses the floor: those that reach it are larger still."""


def climb(
    trials: Trials,
    make: Callable[[int], Attempt],
    count: int,
    *,
    start: int,
    slope: float,
    weighing: bool = False,
) -> Landing:
    """Search the lowest step of quality that reaches the floor.

    A file that is too large is taken for good enough, as files grow with quality. Where one of them
    is larger than that of a higher step, which some steps of JPEG XL and WebP are, it is measured,
    and what lies between the two is looked at.

    Args:
        trials: What is known, and where tries are handed in.
        make: Makes the file of a step.
        count: Steps there are.
        start: The first to try.
        slope: dB that a step gains, as far as it is known.
        weighing: Measure files that are too large, too, as restoring takes little: the search ends
            with the first that misses the floor.
    """
    judge = trials.judge
    sizes: dict[int, int] = {}
    slacks: dict[int, float] = {}
    """Of those that may win."""
    filtered: set[int] = set()
    """Steps whose file got a fitted filter."""

    def slack(step: int) -> float:
        attempt = make(step)
        sizes[step] = attempt.nbytes
        if judge.is_too_large(attempt.encoded):
            beaten = any(step < other for other in _reaching(slacks))
            if not (weighing or beaten):
                return inf
            value = trials.weigh(attempt)
            if value < 0 and not beaten:
                raise _InVainError
            return value
        slacks[step], sizes[step] = trials.slack(attempt)
        if sizes[step] > attempt.nbytes:
            filtered.add(step)
        return slacks[step]

    try:
        found = lowest_enough(0, count - 1, slack, start=start, slope=slope)
    except _InVainError:
        return Landing(Cost(judge.limit, at_least=True))
    reached = _reaching(slacks)
    if reached and found is not None and found not in slacks:
        for step in range(found + 1, min(reached)):
            slack(step)
            if step in slacks:
                break
    if found is not None and found in filtered and found + 1 < count and found + 1 not in sizes:
        slack(found + 1)  # without a filter it may be smaller
        if slacks.get(found + 1, -inf) >= 0 and sizes[found + 1] < sizes[found]:
            found += 1
    reaching = [sizes[step] for step in _reaching(slacks)]
    if reaching and found in slacks:
        below = slacks.get(found - 1, -inf)
        return Landing(Cost(min(reaching)), found, slacks[found], below)
    if reaching:
        return Landing(Cost(min(reaching)))
    return Landing(NOTHING if found is None else Cost(sizes[found], at_least=True))


def _reaching(slacks: Mapping[int, float]) -> list[int]:
    return [step for step, value in slacks.items() if value >= 0]


def climb_below(
    trials: Trials, make: Callable[[int], Attempt], count: int, *, start: int, slope: float
) -> Landing:
    """As `climb`, where restoring takes far longer than encoding and there is a limit to beat.

    The highest quality whose file is small enough is found by encoding alone. If that one misses
    the floor, nothing else need be restored.
    """
    made: dict[int, Attempt] = {}

    def make_once(step: int) -> Attempt:
        if step not in made:
            made[step] = make(step)
        return made[step]

    limit = trials.judge.limit
    over = lowest_enough(
        0,
        count - 1,
        lambda step: _STEEPNESS * log(make_once(step).nbytes / limit),
        start=start,
        slope=slope,
    )
    top = count - 1 if over is None else over - 1
    if top >= 0:
        attempt = make_once(top)
        slack, nbytes = trials.slack(attempt)
        if slack >= 0:
            if top == 0:
                return Landing(Cost(nbytes))
            lower = climb(trials, make_once, top, start=top // 2, slope=slope)
            return lower if lower.cost.is_known else Landing(Cost(nbytes))
    return Landing(NOTHING if over is None else Cost(made[over].nbytes, at_least=True))
