"""Files of one candidate: which are restored or filtered, and what they are taken for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rescaling_core.convert.ascent import FITTED, RESTORED, Attempt, Plain, Trials

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
