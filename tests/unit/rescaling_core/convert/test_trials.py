"""Files of one candidate with a restorer: which are restored, and what they are taken for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rescaling_core.convert.ascent import RESTORED, Attempt, Plain, Trials

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
