"""Shards: the units of work, of retry and of commit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

ID_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class SourceObject:
    """The HR object as it lies in storage."""

    key: str
    size: int
    """Bytes."""
    etag: str


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


def plan_shards(
    pending: Iterable[pa.RecordBatch],
    *,
    max_images: int,
    max_bytes: int,
    targets: Sequence[str],
    plan_digest: str,
) -> Iterator[Shard]:
    """Cut what is pending into shards, in order of keys.

    Args:
        pending: Batches with `key`, `size` and `etag`, as `inventory.scan` orders them.
        max_images: Sources in a shard, at most.
        max_bytes: Bytes of sources in a shard, at most; a larger source is a shard by itself.
        targets: Names, part of the ids.
        plan_digest: Of the plan, part of the ids.

    Raises:
        UsageError: A bound is not positive.
    """
    if max_images < 1 or max_bytes < 1:
        raise UsageError(f"shards: bounds are positive, not {max_images} images, {max_bytes} bytes")
    members: list[SourceObject] = []
    nbytes = 0
    for source in _sources(pending):
        if members and (len(members) == max_images or nbytes + source.size > max_bytes):
            yield Shard.of(members, targets=targets, plan_digest=plan_digest)
            members, nbytes = [], 0
        members.append(source)
        nbytes += source.size
    if members:
        yield Shard.of(members, targets=targets, plan_digest=plan_digest)


def _sources(pending: Iterable[pa.RecordBatch]) -> Iterator[SourceObject]:
    for batch in pending:
        columns = (batch.column(name).to_pylist() for name in ("key", "size", "etag"))
        for key, size, etag in zip(*columns, strict=True):
            yield SourceObject(key=key, size=size, etag=etag)
