"""Which rows of a source are current, and what it is best restored from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.catalog import CatalogRow
from tasks.catalog.history import History, histories
from tasks.storage.versions import same_version
from tests.rows import row

START = datetime(2026, 1, 1, tzinfo=UTC)


def _row(target: str = "x2", day: int = 0, etag: str = "one", **values: object) -> CatalogRow:
    known: dict[str, object] = {
        "source_sha256": etag,
        "psnr_y": 40.0 if target.startswith("x") else None,
        "committed_at": START + timedelta(days=day),
    }
    return row(target=target, source_etag=etag, **known | values)


def test_the_row_committed_last_says_which_version_is_current() -> None:
    old, new = _row("x2", 0, "one", psnr_y=60.0), _row("x4", 1, "two", psnr_y=30.0)
    history = History.of([old, new])
    assert (history.current, history.earlier) == ((new,), (old,))
    assert history.best == new
    assert History.of([new, old]).best == new


def test_what_was_made_from_a_restored_image_is_neither_best_nor_relied_on() -> None:
    own, copy = _row("x2", 0), _row("x4", 1, psnr_y=99.0, origin="restored image")
    history = History.of([own, copy, _row("long-edge=64", 2)])
    assert history.best == own
    assert history.restorable == (own, copy)
    assert history.relied_on == (own,)
    assert len(history.archived) == 3


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("archived", "kept"), "archived"),
        (("archived", "quarantined"), "quarantined"),
        (("kept", "kept"), "kept"),
    ],
)
def test_a_source_is_in_one_state_for_all_its_targets(states: tuple[str, ...], state: str) -> None:
    rows = [_row(f"x{2 + number}", state=one) for number, one in enumerate(states)]
    assert History.of(rows).state == state


def test_a_source_that_went_bad_has_nothing_current_to_restore_from() -> None:
    history = History.of([_row("x2", 0), _row("x4", 1, "two", state="quarantined", psnr_y=None)])
    assert (history.state, history.best, history.restorable) == ("quarantined", None, ())


def test_the_same_bytes_under_another_mark_are_the_same_version() -> None:
    moved = _row("x4", 1, "two", source_sha256="one")
    assert History.of([_row(), moved]).current == (_row(), moved)
    unread = _row("x4", 1, "two", source_sha256=None)
    assert History.of([_row(), unread]).current == (unread,)


def test_a_mark_of_an_earlier_release_is_compared_by_its_rule() -> None:
    assert same_version("18a-5", "18a-5+18b+7")
    assert same_version("18a-5+18b+7", "18a-5")
    assert not same_version("18a-5+18b+8", "18a-5+18b+7")
    assert not same_version("18a-6", "18a-5+18b+7")
    assert not same_version("d41d8cd98f-2", "d41d8cd98f-3")


rows_of_two_sources = st.lists(
    st.builds(
        lambda key, target, day, etag, state: _row(target, day, etag, key=key, state=state),
        st.sampled_from(["a.png", "b.png"]),
        st.sampled_from(["x2", "x4", "long-edge=8"]),
        st.integers(0, 3),
        st.sampled_from(["one", "two"]),
        st.sampled_from(["archived", "kept", "quarantined"]),
    ),
    unique_by=lambda row: (row.source_key, row.target),
)


@given(rows_of_two_sources)
def test_what_is_current_is_of_one_version_and_nothing_is_lost(rows: list[CatalogRow]) -> None:
    found = list(histories(sorted(rows, key=lambda row: (row.source_key, row.target))))
    assert sum(len(one.rows) for one in found) == len(rows)
    for history in found:
        assert {row.source_etag for row in history.current} == {history.latest.source_etag}
        assert {*history.current, *history.earlier} == set(history.rows)
        assert not set(history.current) & set(history.earlier)
        assert history.best is None or history.best in history.restorable
        assert set(history.relied_on) <= set(history.restorable) <= set(history.archived)
