"""Committing in groups: workers are not kept waiting, nothing is lost, and nothing counts twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from threading import Event

import pytest

from tasks.control import committing
from tasks.control.committing import in_groups


def one_row(_result: object) -> int:
    return 1


def test_results_are_asked_for_while_a_commit_goes_on() -> None:
    asked_for_all = Event()

    def results() -> Iterator[int]:
        yield from range(5)
        asked_for_all.set()

    def commit(_group: Sequence[int]) -> None:
        assert asked_for_all.wait(30), "the next result waited for the commit"

    assert list(in_groups(results(), commit, rows=one_row)) == [0, 1, 2, 3, 4]


def test_what_waits_for_a_commit_shares_the_next_one() -> None:
    groups: list[list[int]] = []
    first_begun = Event()

    def results() -> Iterator[int]:
        yield 0
        assert first_begun.wait(30)
        yield from (1, 2, 3)

    def commit(group: Sequence[int]) -> None:
        groups.append(list(group))
        first_begun.set()
        time.sleep(0.1)

    assert list(in_groups(results(), commit, rows=one_row)) == [0, 1, 2, 3]
    assert groups == [[0], [1, 2, 3]]


def test_a_commit_holds_no_more_rows_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "GROUP_ROWS", 10)
    groups: list[list[int]] = []
    all_there = Event()

    def results() -> Iterator[int]:
        yield from (4, 4, 4, 12, 1)
        all_there.set()

    def commit(group: Sequence[int]) -> None:
        assert all_there.wait(30)
        groups.append(list(group))

    assert list(in_groups(results(), commit, rows=lambda rows: rows)) == [4, 4, 4, 12, 1]
    assert [sum(group) for group in groups if len(group) > 1] <= [10] * len(groups)
    assert [12] in groups, "one that is larger is committed by itself"


def test_what_came_before_a_failure_is_committed() -> None:
    committed: list[int] = []

    def results() -> Iterator[int]:
        yield from (1, 2)
        raise OSError("store")

    with pytest.raises(OSError, match="store"):
        list(in_groups(results(), committed.extend, rows=one_row))
    assert committed == [1, 2]


def test_who_is_told_to_end_makes_no_further_commit() -> None:
    begun, committed = Event(), []

    def results() -> Iterator[int]:
        yield 1
        assert begun.wait(30)
        yield 2
        raise KeyboardInterrupt

    def commit(group: Sequence[int]) -> None:
        begun.set()
        time.sleep(0.2)
        committed.extend(group)

    with pytest.raises(KeyboardInterrupt):
        list(in_groups(results(), commit, rows=one_row))
    assert committed == [1], "the one that had begun was made, the other was not"


@pytest.mark.parametrize("at", [0, 2])
def test_a_commit_that_fails_is_raised_and_what_was_committed_is_given_back(at: int) -> None:
    given: list[int] = []
    failed = Event()

    def results() -> Iterator[int]:
        for number in range(4):
            yield number
            time.sleep(0.05)

    def commit(group: Sequence[int]) -> None:
        if at in group:
            failed.set()
            raise OSError("store")

    def take() -> None:
        given.extend(in_groups(results(), commit, rows=one_row))

    with pytest.raises(OSError, match="store"):
        take()
    assert failed.is_set()
    assert all(number < at for number in given)
