"""Files of one candidate: which are restored or filtered, and what they are taken for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rescaling_core.convert.ascent import FITTED, RESTORED, Attempt, Plain, Trials, climb

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.convert.trial import Encoded


class Judge:
    """The slack of a file is the number that stands for its restored picture."""

    limit = 1_000_000

    def is_too_large(self, _encoded: Encoded) -> bool:
        """Never."""
        return False

    def judge(self, _encoded: Encoded, restored: Any) -> float:
        """The number."""
        return float(restored)

    weigh = judge


def attempt(plain: float, restored: Callable[[], float]) -> Attempt:
    """A file that misses or reaches the floor by so much without and with its restorer."""
    encoded: Any = SimpleNamespace(data=b"1234")
    beside: Any = Plain(encoded, plain)  # type: ignore[arg-type]
    return Attempt(encoded, restored, plain=beside)  # type: ignore[arg-type]


def never() -> float:
    """It was restored all the same."""
    raise AssertionError("restored")


def test_a_file_that_misses_by_far_more_than_the_restorer_adds_is_not_restored():
    trials = Trials(Judge())
    assert trials.slack(attempt(-0.2, lambda: 0.1))[0] == 0.1  # it added 0.3
    slack, nbytes = trials.slack(attempt(-0.5, never))
    assert (slack, nbytes) == (pytest.approx(-0.2), 4)


def test_a_file_that_may_reach_the_floor_is_restored():
    trials = Trials(Judge())
    trials.slack(attempt(-0.2, lambda: 0.1))
    assert trials.slack(attempt(-0.35, lambda: -0.04))[0] == -0.04


def test_the_first_file_is_restored_however_far_it_lies_below_the_floor():
    assert Trials(Judge()).slack(attempt(-3.0, lambda: -2.8))[0] == -2.8


def test_nothing_is_learned_from_a_file_that_the_restorer_made_worse():
    trials = Trials(Judge())
    trials.slack(attempt(-0.1, lambda: -0.4))
    assert trials.slack(attempt(-0.5, lambda: 0.05))[0] == 0.05


def test_a_file_that_is_enough_without_its_restorer_is_not_restored():
    assert Trials(Judge()).slack(attempt(0.0, never)) == (RESTORED, 4)


def filtered(slack: float, better: Callable[[], float | None], plain: float | None) -> Attempt:
    """A file without a filter, and with one: it takes 6 bytes then, in place of 4."""

    def fit(_restored: Any) -> Any:
        found = better()
        return None if found is None else Plain(SimpleNamespace(data=b"123456"), found)  # type: ignore[arg-type]

    bare = attempt(plain if plain is not None else 0, lambda: slack)
    return Attempt(
        bare.encoded, bare.restore, plain=bare.plain if plain is not None else None, fit=fit
    )  # type: ignore[arg-type]


def test_a_file_that_misses_by_little_gets_a_filter():
    assert Trials(Judge()).slack(filtered(-0.05, lambda: 0.02, None)) == (0.02, 6)


def test_a_file_that_is_enough_without_a_filter_gets_none():
    assert Trials(Judge()).slack(filtered(0.1, never, None)) == (0.1 + FITTED, 4)


def test_a_file_that_misses_by_far_more_than_a_filter_adds_gets_none():
    trials = Trials(Judge())
    assert trials.slack(filtered(-0.5, lambda: -0.4, None)) == (-0.4, 6)  # it added 0.1
    assert trials.slack(filtered(-0.2, never, None)) == (-0.2, 4)
    assert trials.slack(filtered(-0.12, lambda: -0.02, None)) == (-0.02, 6)


def test_behind_a_restorer_only_what_is_nearly_enough_gets_a_filter():
    assert Trials(Judge()).slack(filtered(-0.2, never, -0.5)) == (-0.2, 4)
    assert Trials(Judge()).slack(filtered(-0.08, lambda: 0.01, -0.5)) == (0.01, 6)


def test_a_file_for_which_no_filter_pays_is_as_it_is():
    assert Trials(Judge()).slack(filtered(-0.05, lambda: None, None)) == (-0.05, 4)


class BestWins(Judge):
    """As the real one: a file has to be smaller than the smallest that was enough."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.weighed = 0

    def is_too_large(self, encoded: Encoded) -> bool:
        """As many bytes are too many."""
        return len(encoded.data) >= self.limit

    def judge(self, encoded: Encoded, restored: Any) -> float:
        """The number, and the smallest file is remembered."""
        if restored >= 0:
            self.limit = len(encoded.data)
        return float(restored)

    def weigh(self, _encoded: Encoded, restored: Any) -> float:
        """The number."""
        self.weighed += 1
        return float(restored)


def climbed(sizes: list[int], first: int, *, start: int, weighing: bool) -> tuple[int, BestWins]:
    """The bytes of what is found, where steps from a first one on are enough."""
    judge = BestWins(limit=1000)

    def make(step: int) -> Attempt:
        encoded: Any = SimpleNamespace(data=bytes(sizes[step]))
        return Attempt(encoded, lambda: step - first + 0.5)  # type: ignore[arg-type, return-value]

    climb(Trials(judge), make, len(sizes), start=start, slope=1, weighing=weighing)
    return judge.limit, judge


@pytest.mark.parametrize("weighing", [False, True])
@pytest.mark.parametrize("start", range(5, 10))
@pytest.mark.parametrize("first", [2, 3, 4])
def test_one_low_step_of_a_large_file_hides_none_of_those_above_it(
    first: int, start: int, weighing: bool
):
    sizes = [10, 11, 12, 19, 13, 14, 15, 16, 17, 18]
    best = min(sizes[first:])
    assert climbed(sizes, first, start=start, weighing=weighing)[0] == best


@pytest.mark.parametrize("start", range(10))
def test_files_that_grow_with_quality_are_not_weighed(start: int):
    found, judge = climbed(list(range(10, 20)), 4, start=start, weighing=False)
    assert (found, judge.weighed) == (14, 0)


@pytest.mark.parametrize("start", range(10))
def test_a_filter_that_takes_more_than_the_next_step_does_is_not_stored(start: int):
    judge = BestWins(limit=1000)

    def make(step: int) -> Attempt:
        def fit(restored: Any) -> Any:
            return Plain(SimpleNamespace(data=bytes(13 + step)), restored + 0.6)  # type: ignore[arg-type]

        encoded: Any = SimpleNamespace(data=bytes(10 + step))
        return Attempt(encoded, lambda: step - 3.5, fit=fit)  # type: ignore[arg-type, return-value]

    climb(Trials(judge), make, 10, start=start, slope=1)
    assert judge.limit == 14, "the fourth step; the third takes 16 with its filter"
