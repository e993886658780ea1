"""LR files that lie one behind the other in a pack are read together, as far as it is worth it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tasks.catalog.place import LrPlace
from tasks.renditions.files import (
    MOST_BETWEEN,
    MOST_TOGETHER,
    neighbours,
    stored_member,
    stored_neighbours,
)
from tasks.renditions.packs import BLOCK, packed
from tasks.storage import open_store


def place(offset: int | None, size: int = 100, pack: str | None = "packs/a.tar") -> LrPlace:
    return LrPlace("", size, "", pack, offset)


def test_only_what_lies_near_in_the_same_pack_is_put_together() -> None:
    end = 1024 + 100
    far = end + MOST_BETWEEN + BLOCK
    places = [place(2048), place(None, pack=None), place(1024), place(2048, pack="packs/b.tar")]
    assert sorted(neighbours(places)) == [[1], [2, 0], [3]]
    assert neighbours([place(1024), place(far)]) == [[0, 1]]
    assert neighbours([place(1024), place(far + 1)]) == [[0], [1]]


def test_no_more_is_put_together_than_may_be_read_at_once() -> None:
    half = MOST_TOGETHER // 2
    second = BLOCK + half
    fits = half - 2 * BLOCK  # with the blocks before both of them
    assert neighbours([place(BLOCK, half - BLOCK), place(second, fits)]) == [[0, 1]]
    assert neighbours([place(BLOCK, half - BLOCK), place(second, half + 1)]) == [[0], [1]]
    assert neighbours([place(BLOCK, 10 * MOST_TOGETHER)]) == [[0]]


def test_places_that_cannot_be_are_alone() -> None:
    places = [place(1024), place(None), place(BLOCK - 1), place(2048, 0), place(1024)]
    assert sorted(neighbours(places)) == [[0, 4], [1], [2], [3]]


PLACES = st.builds(
    place,
    st.none() | st.integers(-5, 50_000) | st.integers(0, 3 * MOST_TOGETHER),
    st.integers(-1, 9_000) | st.just(MOST_TOGETHER),
    st.sampled_from(["packs/a.tar", "packs/b.tar", None]),
)


@given(st.lists(PLACES, max_size=30))
def test_each_is_in_one_group_with_others_of_its_pack(places: list[LrPlace]) -> None:
    groups = neighbours(places)
    assert sorted(number for group in groups for number in group) == list(range(len(places)))
    for group in groups:
        assert len({places[number].pack_key for number in group}) == 1


def test_together_they_are_what_they_are_alone_and_behind_the_end_there_is_nothing(
    tmp_path: Path,
) -> None:
    files = [(f"{number}.webp", bytes([number]) * (300 * number)) for number in range(1, 6)]
    data, offsets = packed(files)
    store = open_store(str(tmp_path))
    places = [place(offsets[key], len(content)) for key, content in files]
    for size in (len(data), offsets["4.webp"] + 7, offsets["2.webp"] - BLOCK):
        store.put("packs/a.tar", data[:size])
        alone = [stored_member(store, "packs/a.tar", one) for one in places]
        assert stored_neighbours(store, "packs/a.tar", places) == alone
    (only,) = neighbours(places)
    assert only == [0, 1, 2, 3, 4]
