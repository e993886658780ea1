"""Which packs of an archive are worth writing again.

Those are packs with much in them that no row names, and small ones that one can take the place of.
Pure: what lies in storage and what the catalog names comes in, what is to be done goes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tasks.renditions.packs import MOST_BYTES, pack_size

DEAD_SHARE: Final = 0.5
"""Share of a pack's bytes from which on it is written again: no more is moved than is freed."""

MOVED_AT_MOST: Final = 16 * 2**30
"""Bytes of LR files that one run puts into other packs."""

SMALL_SHARE: Final = 0.25
"""Share of a full pack below which a pack is small."""

JOINED_AT_LEAST: Final = 4
"""Small packs that are joined into one, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackUse:
    """A pack in storage, and what of it the rows of the catalog name."""

    key: str
    target: str
    size: int
    """Bytes of the pack."""
    needed: int
    """Bytes of it that the files take which rows name, with their headers."""
    first: str
    """The first source key of these rows, in the order of keys."""
    last: str
    """The last of them."""

    @property
    def is_sparse(self) -> bool:
        """Whether so much of it is named by no row that it is worth writing again."""
        return self.size - pack_size(self.needed) >= DEAD_SHARE * self.size


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Packs of one target in whose place one pack is to come."""

    target: str
    packs: tuple[PackUse, ...]

    @property
    def moved(self) -> int:
        """Bytes that go into the new pack."""
        return sum(one.needed for one in self.packs)

    @property
    def freed(self) -> int:
        """Bytes that are free once the old packs are gone."""
        return sum(one.size for one in self.packs) - pack_size(self.moved)

    @property
    def between(self) -> tuple[str, str]:
        """The first and the last source key of the rows."""
        return min(one.first for one in self.packs), max(one.last for one in self.packs)


@dataclass(frozen=True, slots=True)
class Rewrites:
    """What one run is to do, and what it leaves."""

    chosen: tuple[Rewrite, ...] = ()
    left: int = 0
    """Packs that are worth it too, and wait for a later run, since this one has enough to move."""


def rewrites_of(
    packs: Iterable[PackUse], *, most: int = MOST_BYTES, bound: int = MOVED_AT_MOST
) -> Rewrites:
    """Choose the packs to write again: what frees most for what is moved comes first.

    Args:
        packs: All of an archive that rows name something of.
        most: Bytes of LR files that a new pack takes.
        bound: Bytes that may be moved.
    """
    by_target: dict[str, list[PackUse]] = {}
    for one in packs:
        by_target.setdefault(one.target, []).append(one)
    sparse: list[Rewrite] = []
    joined: list[Rewrite] = []
    for target, found in sorted(by_target.items()):
        thin = sorted((one for one in found if one.is_sparse), key=lambda one: one.first)
        small = [one for one in found if not one.is_sparse and one.needed < SMALL_SHARE * most]
        sparse += [Rewrite(target, some) for some in _filled(thin, most)]
        joined += [Rewrite(target, some) for some in _joined(small, most)]
    sparse.sort(key=lambda one: one.moved / one.freed)
    joined.sort(key=lambda one: one.moved / len(one.packs))
    return _within(bound, [*sparse, *joined])


def _within(bound: int, rewrites: Sequence[Rewrite]) -> Rewrites:
    chosen: list[Rewrite] = []
    left = 0
    for one in rewrites:
        if one.moved <= bound:
            bound -= one.moved
            chosen.append(one)
        else:
            left += len(one.packs)
    return Rewrites(tuple(chosen), left)


def _filled(packs: Iterable[PackUse], most: int) -> Iterator[tuple[PackUse, ...]]:
    """Neighbours that go into one pack together."""
    group: list[PackUse] = []
    for one in packs:
        if group and sum(other.needed for other in group) + one.needed > most:
            yield tuple(group)
            group = []
        group.append(one)
    if group:
        yield tuple(group)


def _joined(small: Iterable[PackUse], most: int) -> Iterator[tuple[PackUse, ...]]:
    """Packs of like size, so that each byte that is moved comes to lie in a pack twice as large.

    What is archived little by little is therefore moved a few times only, not with every run.
    """
    group: list[PackUse] = []
    for one in sorted(small, key=lambda one: (one.needed, one.key)):
        held = sum(other.needed for other in group)
        unlike = len(group) > 1 and one.needed > held
        if unlike or held + one.needed > most:
            yield from _worth_joining(group)
            group = []
        group.append(one)
    yield from _worth_joining(group)


def _worth_joining(group: list[PackUse]) -> Iterator[tuple[PackUse, ...]]:
    if len(group) >= JOINED_AT_LEAST and 2 * group[-1].needed <= sum(one.needed for one in group):
        yield tuple(group)
