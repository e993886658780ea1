"""Shards: the units of work, of retry and of commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rescaling_core.errors import UsageError
from tasks.catalog.difference import NEW
from tasks.collection.listing import SCHEMA

IntArray = npt.NDArray[np.int64]

PENDING: Final = SCHEMA.append(NEW)
"""Schema of what is pending: of a listing, and whether the catalog has no row of a source."""

ID_DIGITS: Final = 16

MOST_SHARD_IMAGES: Final = 64
"""Sources in a shard of a run that has many; of one that has few there are fewer."""

MOST_SHARD_BYTES: Final = 256 * 2**20
"""Bytes of sources in a shard, unless a single one is larger."""


@dataclass(frozen=True, slots=True)
class SourceObject:
    """The HR object as it lies in storage."""

    key: str
    size: int
    """Size in bytes."""
    etag: str
    trouble: str | None = None
    """The kind of trouble, if it is not a source but something that is only accounted for."""
    reason: str | None = None
    """What is wrong with it then."""
    new: bool = False
    """Whether the catalog is known to have had no row of it when it was last looked for."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Sources that are converted by one worker and committed in one transaction."""

    shard_id: str
    """First 16 hex digits of SHA-256 over the sorted (key, etag), the targets and the plan."""
    sources: tuple[SourceObject, ...]
    targets: tuple[str, ...]
    plan_digest: str

    @classmethod
    def of(
        cls, sources: Iterable[SourceObject], *, targets: Sequence[str], plan_digest: str
    ) -> Shard:
        """Make a shard and name it by its content, so that a retry meets its own earlier work."""
        ordered = tuple(sorted(sources, key=lambda source: source.key))
        named = {
            "sources": [[source.key, source.etag] for source in ordered],
            "targets": sorted(targets),
            "plan": plan_digest,
        }
        text = json.dumps(named, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        shard_id = hashlib.sha256(text.encode("ascii")).hexdigest()[:ID_DIGITS]
        return cls(shard_id, ordered, tuple(targets), plan_digest)

    @property
    def nbytes(self) -> int:
        """Bytes of its sources together."""
        return sum(source.size for source in self.sources)

    def singles(self) -> tuple[Shard, ...]:
        """One shard for each source: what is left to try when the whole kills its workers."""
        return tuple(
            Shard.of([source], targets=self.targets, plan_digest=self.plan_digest)
            for source in self.sources
        )


class ShardPlan(Sequence[Shard]):
    """What is pending, cut into shards that are made when they are asked for.

    Only where the cuts are is held, beside the Arrow batches: ten million keys as Python objects
    would take as many gigabytes. Slices share both.
    """

    def __init__(
        self, pending: pa.Table, starts: IntArray, *, targets: Sequence[str], plan_digest: str
    ) -> None:
        """Put together by `plan_shards`.

        Args:
            pending: Of `PENDING`.
            starts: Of each shard, and where the last one ends.
            targets: Names, part of the ids.
            plan_digest: Part of the ids.
        """
        self._pending = pending
        self._starts = starts
        self._targets = tuple(targets)
        self._plan_digest = plan_digest

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> Shard: ...

    @overload
    def __getitem__(self, index: slice) -> ShardPlan: ...

    def __getitem__(self, index: int | slice) -> Shard | ShardPlan:
        if isinstance(index, slice):
            low, high, step = index.indices(len(self))
            if step != 1:
                raise ValueError("shards are sliced in their order, without steps")
            starts = self._starts[low : max(low, high) + 1]
            return ShardPlan(
                self._pending, starts, targets=self._targets, plan_digest=self._plan_digest
            )
        position = range(len(self))[index]
        start, end = (int(at) for at in self._starts[position : position + 2])
        rows = self._pending.slice(start, end - start).to_pylist()
        return Shard.of(
            (SourceObject(**row) for row in rows),
            targets=self._targets,
            plan_digest=self._plan_digest,
        )


def plan_shards(
    pending: Iterable[pa.RecordBatch],
    *,
    max_images: int,
    max_bytes: int,
    targets: Sequence[str],
    plan_digest: str,
) -> ShardPlan:
    """Cut what is pending into shards, in order of keys.

    Args:
        pending: Batches of `PENDING`, as `listing.scan` orders them.
        max_images: Sources in a shard, at most.
        max_bytes: Bytes of sources in a shard, at most; a larger source is a shard by itself.
        targets: Names, part of the ids.
        plan_digest: Of the plan, part of the ids.

    Raises:
        UsageError: A bound is not positive.
    """
    if max_images < 1 or max_bytes < 1:
        raise UsageError(f"shards: bounds are positive, not {max_images} images, {max_bytes} bytes")
    table = pa.Table.from_batches(pending, schema=PENDING)
    sizes = [np.asarray(chunk, dtype=np.int64) for chunk in table.column("size").chunks]
    totals = np.cumsum(np.concatenate([np.zeros(1, np.int64), *sizes]))
    starts = np.asarray(list(_starts(totals, max_images, max_bytes)), dtype=np.int64)
    return ShardPlan(table, starts, targets=targets, plan_digest=plan_digest)


def _starts(totals: IntArray, max_images: int, max_bytes: int) -> Iterator[int]:
    """Where shards start, and where the last one ends.

    Args:
        totals: Bytes of the first 0, 1, 2, ... sources together.
        max_images: As for `plan_shards`.
        max_bytes: As for `plan_shards`.
    """
    at, count = 0, len(totals) - 1
    yield at
    while at < count:
        within = int(np.searchsorted(totals, totals[at] + max_bytes, side="right")) - 1
        at = min(max(at + 1, min(within, at + max_images)), count)
        yield at
