"""Which packs are written again: never more moved than allowed, and no byte again and again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.renditions.packs import pack_size
from tasks.renditions.rewrites import JOINED_AT_LEAST, PackUse, Rewrite, Rewrites, rewrites_of

FULL = 64 * 2**20


def use(key: str, needed: int, dead: int = 0, target: str = "x2") -> PackUse:
    """A pack of which so many bytes are needed, and so many more are not."""
    size = pack_size(needed + dead)
    return PackUse(key=key, target=target, size=size, needed=needed, first=key, last=key)


def chosen(found: Rewrites) -> list[list[str]]:
    return [[one.key for one in rewrite.packs] for rewrite in found.chosen]


def test_a_pack_is_written_again_once_half_of_it_is_dead() -> None:
    packs = [use("less", 33 * 2**20, 30 * 2**20), use("more", 30 * 2**20, 33 * 2**20)]
    found = rewrites_of(packs)
    assert chosen(found) == [["more"]]
    assert found.chosen[0].moved == 30 * 2**20
    assert found.chosen[0].freed >= 33 * 2**20 - 10240


def test_sparse_neighbours_go_into_one_pack_as_far_as_it_takes_them() -> None:
    packs = [use(name, 25 * 2**20, 30 * 2**20) for name in "cab"]
    assert chosen(rewrites_of(packs)) == [["a", "b"], ["c"]]


def test_small_packs_of_one_target_are_joined_if_there_are_enough() -> None:
    packs = [use(f"{number}", 2**20) for number in range(JOINED_AT_LEAST)]
    assert chosen(rewrites_of(packs[1:])) == []
    assert chosen(rewrites_of(packs)) == [["0", "1", "2", "3"]]
    mixed = [*packs[1:], use("other", 2**20, target="x4")]
    assert chosen(rewrites_of(mixed)) == []


def test_a_pack_is_not_moved_for_little_ones_beside_it() -> None:
    packs = [use("large", 15 * 2**20), *(use(f"{number}", 2**18) for number in range(3))]
    assert chosen(rewrites_of(packs)) == []
    packs += [use("another", 2**18)]
    assert chosen(rewrites_of(packs)) == [["0", "1", "2", "another"]]


def test_what_frees_most_comes_first_and_the_rest_waits() -> None:
    packs = [
        *(use(f"small {number}", 2**20) for number in range(4)),
        use("half", 30 * 2**20, 31 * 2**20),
        use("nearly all", 2**20, 60 * 2**20),
    ]
    assert chosen(rewrites_of(packs, most=30 * 2**20)) == [
        ["nearly all"],
        ["half"],
        [f"small {number}" for number in range(4)],
    ]
    found = rewrites_of(packs, most=30 * 2**20, bound=2 * 2**20)
    assert (chosen(found), found.left) == ([["nearly all"]], 5)


PACKS = st.lists(
    st.tuples(st.integers(513, FULL), st.integers(0, FULL), st.sampled_from(["x2", "x4"])),
    max_size=40,
)


@given(PACKS, st.integers(0, 2**30))
def test_no_pack_is_taken_twice_and_the_bound_holds(
    packs: list[tuple[int, int, str]], bound: int
) -> None:
    uses = [use(f"{at:02}", *sizes) for at, sizes in enumerate(packs)]
    found = rewrites_of(uses, bound=bound)
    keys = [key for group in chosen(found) for key in group]
    assert len(keys) == len(set(keys))
    assert sum(one.moved for one in found.chosen) <= bound
    for one in found.chosen:
        assert {pack.target for pack in one.packs} == {one.target}
        assert one.freed >= 0
        assert one.moved <= FULL or len(one.packs) == 1
        if not any(pack.is_sparse for pack in one.packs):
            assert all(2 * pack.needed <= one.moved for pack in one.packs)


@given(PACKS)
def test_what_was_written_again_is_not_at_once_worth_it_again(
    packs: list[tuple[int, int, str]],
) -> None:
    uses = [use(f"{at:02}", *sizes) for at, sizes in enumerate(packs)]
    for _ in range(12):  # each byte that is joined comes to lie in a pack twice as large
        found = rewrites_of(uses)
        if not found.chosen:
            break
        taken = {pack.key for one in found.chosen for pack in one.packs}
        uses = [one for one in uses if one.key not in taken] + [
            _after(f"new {len(uses)} {at}", one) for at, one in enumerate(found.chosen)
        ]
    assert not rewrites_of(uses).chosen


def _after(key: str, rewrite: Rewrite) -> PackUse:
    return use(key, rewrite.moved, target=rewrite.target)
