"""What a plan leaves in a store: how many objects of which sizes, and how many requests that takes.

A store asks for money by the request and, in some classes, for a least size of each object. What
lies in packs counts as its packs, headers included.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from math import ceil

from tasks.collection.shards import MOST_SHARD_BYTES, MOST_SHARD_IMAGES
from tasks.jobs.plan.sample import Sample
from tasks.renditions.packs import MOST_BYTES, bytes_in_pack, pack_size


def _sizes() -> array[int]:
    return array("q")


@dataclass(slots=True)
class _Packed:
    """Files of one target that go into packs, or those of one pack."""

    files: int = 0
    nbytes: int = 0
    beside: int = 0
    """Bytes of headers, and of what fills up blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What would lie in the store of the whole collection."""

    objects: int
    """Number of objects: sources that stay, LR objects and packs."""
    packs: int
    """Number of packs among them."""
    packed_files: int
    """Number of LR files that lie in packs."""
    writes: int
    """Requests that write: one for each LR object and each pack."""


@dataclass(slots=True)
class Holding:
    """What lies in a store, of a sample or of all: objects of their own, and what is in packs."""

    stays: array[int] = field(default_factory=_sizes)
    """Bytes of each source that stays."""
    made: array[int] = field(default_factory=_sizes)
    """Bytes of each LR file that is to be an object."""
    there: array[int] = field(default_factory=_sizes)
    """Bytes of each LR file that is an object already."""
    packed: dict[str, _Packed] = field(default_factory=dict)
    """What is to go into packs, by target."""
    packs: dict[str, _Packed] = field(default_factory=dict)
    """What lies in packs already, by pack."""

    def add(self, target: str, lr_key: str, nbytes: int, *, packed: bool) -> None:
        """Count an LR file that is to be made; of its key only the length matters."""
        if packed:
            _count(self.packed, target, lr_key, nbytes)
        else:
            self.made.append(nbytes)

    def add_stored(self, pack_key: str | None, lr_key: str, nbytes: int) -> None:
        """Count an LR file that lies there."""
        if pack_key is not None:
            _count(self.packs, pack_key, lr_key, nbytes)
        else:
            self.there.append(nbytes)

    def extent(self, sample: Sample, sampled: int, source_bytes: int) -> Extent:
        """Of the whole collection.

        Args:
            sample: What was drawn, and from how much.
            sampled: Sources of it that were counted.
            source_bytes: Total bytes of these.
        """
        scale = sample.listed / max(1, sampled)
        new = self._new_packs(sample, sampled, source_bytes)
        made, packs = round(len(self.made) * scale), sum(count for count, _, _ in new)
        found = round((len(self.stays) + len(self.there)) * scale) + len(self.packs)
        files = round(sum(one.files for one in self.packed.values()) * scale)
        return Extent(
            objects=made + packs + found,
            packs=packs + len(self.packs),
            packed_files=files + sum(one.files for one in self.packs.values()),
            writes=made + packs,
        )

    def shortfall(self, least: int, sample: Sample, sampled: int, source_bytes: int) -> float:
        """Bytes that are billed beyond those of the files, where each object counts for so many.

        Headers in packs, and what fills these up, are among them.

        Args:
            least: Bytes that each object counts for at least.
            sample: As for `extent`.
            sampled: As for `extent`.
            source_bytes: As for `extent`.
        """
        sizes = (size for some in (self.stays, self.made, self.there) for size in some)
        own = sum(max(0, least - size) for size in sizes) * sample.listed / max(1, sampled)
        there = sum(_billed(least, one.nbytes + one.beside) - one.nbytes
                    for one in self.packs.values())  # fmt: skip
        new = self._new_packs(sample, sampled, source_bytes)
        to_be = sum(
            count * _billed(least, (nbytes + beside) / count) - nbytes
            for count, nbytes, beside in new
        )
        return own + there + to_be

    def _new_packs(
        self, sample: Sample, sampled: int, source_bytes: int
    ) -> list[tuple[int, float, float]]:
        """Number of packs, of each target: one a shard, or more where that is full.

        With the bytes of the files in them, and of what lies beside these.

        Shards are as large as those of a run of many sources.
        """
        scale = sample.listed / max(1, sampled)
        shards = max(sample.listed / MOST_SHARD_IMAGES, sample.listed_bytes / MOST_SHARD_BYTES)
        found: list[tuple[int, float, float]] = []
        for one in self.packed.values():
            nbytes = one.nbytes / max(1, source_bytes) * sample.listed_bytes
            count = ceil(min(one.files * scale, max(shards, nbytes / MOST_BYTES)))
            found.append((count, nbytes, one.beside * scale))
        return found


def _billed(least: int, content: float) -> int:
    """Bytes that a pack is billed for, of files that take so many in it."""
    return max(least, pack_size(ceil(content)))


def _count(found: dict[str, _Packed], key: str, lr_key: str, nbytes: int) -> None:
    one = found.setdefault(key, _Packed())
    one.files += 1
    one.nbytes += nbytes
    one.beside += bytes_in_pack(lr_key, nbytes) - nbytes
