"""Reading the sources of a shard, a few of them before their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Final

from tasks.collection.shards import SourceObject
from tasks.control import tracing
from tasks.control.outcomes import Failure, outcome_of
from tasks.storage import ObjectChangedError, ObjectNotFoundError, Store

READS_AHEAD: Final = 4
"""Sources fetched while earlier ones are converted."""


def read_ahead(
    pool: ThreadPoolExecutor,
    store: Store,
    sources: tuple[SourceObject, ...],
    waiting: Callable[[int], None],
    trace: tracing.Carrier,
) -> Iterator[tuple[SourceObject, bytes | Failure]]:
    """Yield sources with their bytes in order, a few fetched ahead, or why they cannot be read.

    `waiting` is told how many lie ready whenever one is taken.
    """

    def fetch(source: SourceObject) -> tuple[SourceObject, Future[bytes | Failure]]:
        return source, pool.submit(_read, store, source, trace)

    left = iter(sources)
    ahead = deque(fetch(source) for source in islice(left, READS_AHEAD))
    while ahead:
        waiting(sum(future.done() for _, future in ahead))
        source, future = ahead.popleft()
        data = future.result()
        ahead.extend(fetch(following) for following in islice(left, 1))
        yield source, data


def _read(store: Store, source: SourceObject, trace: tracing.Carrier) -> bytes | Failure:
    """The very version of a source that was listed."""
    with tracing.part_of(trace, "read", source=source.key):
        return _version(store, source)


def _version(store: Store, source: SourceObject) -> bytes | Failure:
    if source.trouble is not None:
        return Failure(source.reason or "no reason was given", source.trouble)
    found = outcome_of(source.key, partial(store.get_version, source.key, source.etag))
    if isinstance(found, Failure) and found.error_class == ObjectNotFoundError.__name__:
        return Failure("listed, but gone when it was to be read", "SourceVanished")
    if isinstance(found, Failure) and found.error_class == ObjectChangedError.__name__:
        return Failure("it was changed between the listing and the reading", "SourceChanged")
    return found
