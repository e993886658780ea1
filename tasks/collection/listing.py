"""The inventory: every source of a collection, as Arrow batches."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasks.storage import ObjectInfo, Store

SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
    ]
)
"""Schema of a batch: key relative to the collection, size in bytes, the store's change mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which sources of a collection a run is about."""

    include: tuple[str, ...] = ()
    """Globs (`*` crosses `/`): a key is taken if it matches one, or if there is none."""
    exclude: tuple[str, ...] = ()
    """Globs: a key that matches one is passed over."""
    retry_quarantined: bool = False
    """Whether sources in quarantine are tried again though they did not change."""
    inventory: str | None = None
    """URL of the manifest.json of an S3 Inventory report to read, rather than list the store."""


EVERYTHING: Final = Selection()

BATCH_ROWS: Final = 65_536
"""Number of keys held at once: about 10 MiB."""


def scan(
    store: Store,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pa.RecordBatch]:
    """List a collection.

    Args:
        store: The collection.
        include: Globs (`*` crosses `/`); a key is listed if it matches one, or if there is none.
        exclude: Globs; a key that matches one is passed over.
        batch_rows: Keys a batch, the last one excepted.

    Yields:
        Batches of `SCHEMA`, sorted by key within and across batches.

    Raises:
        UsageError: A glob is empty.
        StorageError: The listing could not be completed.
    """
    check_globs(include, exclude)
    waiting: list[ObjectInfo] = []
    for info in store.list():
        if is_wanted(info.key, include, exclude):
            waiting.append(info)
        if len(waiting) == batch_rows:
            yield _batch(waiting)
            waiting = []
    if waiting:
        yield _batch(waiting)


def check_globs(include: Sequence[str], exclude: Sequence[str]) -> None:
    """Refuse what matches nothing.

    Raises:
        UsageError: A glob is empty.
    """
    if "" in (*include, *exclude):
        raise UsageError("include and exclude: an empty glob matches nothing")


def is_wanted(key: str, include: Sequence[str], exclude: Sequence[str]) -> bool:
    """Whether a key is taken: it matches an `include`, or there is none, and no `exclude`."""

    def matches(globs: Iterable[str]) -> bool:
        return any(fnmatchcase(key, glob) for glob in globs)

    return (not include or matches(include)) and not matches(exclude)


def _batch(infos: Sequence[ObjectInfo]) -> pa.RecordBatch:
    columns = [
        [info.key for info in infos],
        [info.size for info in infos],
        [info.etag for info in infos],
    ]
    return pa.record_batch(columns, schema=SCHEMA)
