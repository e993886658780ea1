"""The LR files that lie in an archive, whatever its catalog says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tasks.catalog.schema import TIME
from tasks.renditions import packs
from tasks.storage import ObjectNotFoundError, ObjectUnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.catalog import Catalog
    from tasks.storage import ObjectInfo, Store

PREFIX: Final = "renditions/"

OBJECTS: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("modified", TIME, nullable=False),
    ]
)
"""Key relative to the archive, bytes, when it was written (1970 where the store does not say)."""

LR_FILES: Final = pa.schema(
    [
        *OBJECTS,
        pa.field("archived", TIME, nullable=False),
        pa.field("pack_key", pa.string()),
        pa.field("pack_offset", pa.int64()),
        pa.field("kept", pa.int64()),
    ]
)
"""Of an LR file: the same, of the pack where one holds it; when it was archived, which may be long
before its pack was written; the pack and its place there, null for an object; by which number the
caller has kept what it made of its bytes."""

UNKNOWN: Final = datetime.fromtimestamp(0, UTC)
"""Of an object whose store does not say when it was written."""

_BATCH_ROWS: Final = 65_536


def list_objects(archive: Store, seen: Callable[[int], None]) -> pa.Table:
    """List all LR objects and all packs, about 150 bytes of memory each.

    Args:
        archive: The store they lie in.
        seen: Called with the number of objects listed so far, for those who watch.

    Returns:
        Of `OBJECTS`, sorted by key.

    Raises:
        StorageError: The listing could not be completed.
    """
    listing = chain(archive.list(packs.PREFIX), archive.list(PREFIX))
    return _table(((info.key, info.size, _written(info)) for info in listing), OBJECTS, seen)


def objects_named(catalog: Catalog) -> pa.ChunkedArray:
    """The keys of the LR objects and packs that rows name, some of them more than once.

    Raises:
        StorageError: The catalog cannot be read.
    """
    rows = catalog.batches(columns=("pack_key", "lr_key"))
    keys = [pc.coalesce(*batch.columns) for batch in rows]
    return pa.chunked_array(keys, pa.string()).drop_null()


def list_lr_files(
    archive: Store,
    seen: Callable[[int], None],
    damaged: Callable[[str, str], None],
    keep: Callable[[bytes], int | None] = lambda _: None,
) -> pa.Table:
    """List all LR files, those in packs too, about 200 bytes of memory each. Packs are read whole.

    Args:
        archive: The store they lie in.
        seen: Called with the number of LR files listed so far, for those who watch.
        damaged: Called with the key of a pack, or a part of one, that is no pack, and the reason.
        keep: Called with each LR file in a pack, as it is not to be read again; gives a number by
            which the caller knows what it has kept of it.

    Returns:
        Of `LR_FILES`, objects before what lies in packs.

    Raises:
        StorageError: The listing could not be completed.
    """

    def listed() -> Iterable[tuple[Any, ...]]:
        for info in archive.list(PREFIX):
            written = _written(info)
            yield info.key, info.size, written, written, None, None, None
        for info in archive.list(packs.PREFIX):
            try:
                data = archive.get(info.key)
            except (ObjectNotFoundError, ObjectUnreadableError) as error:
                damaged(info.key, str(error))
                continue
            for found in packs.members_of(data):
                if isinstance(found, packs.Gap):
                    damaged(info.key, f"from byte {found.offset} on: {found.reason}")
                else:
                    kept = keep(data[found.offset : found.offset + found.size])
                    place = (info.key, found.offset, kept)
                    times = (_written(info), _archived(info, found))
                    yield found.lr_key, found.size, *times, *place

    return _table(listed(), LR_FILES, seen)


def newest_of_each(files: pa.Table) -> pa.Table:
    """The newest LR file of each source and target: the others are of earlier sources.

    Of one that lies there several times it is the one that was written last, as packs are that took
    the place of others.

    Args:
        files: Of `LR_FILES`.

    Returns:
        Of `LR_FILES`, sorted by key.
    """
    once = _last(files.sort_by([("modified", "ascending")]), "key")
    folder = pc.replace_substring_regex(once.column("key"), r"/[^/]*$", "")
    ordered = once.append_column("folder", folder).sort_by(
        [("archived", "ascending"), ("key", "ascending")]
    )
    return _last(ordered, "folder").sort_by("key")


def _last(ordered: pa.Table, by: str) -> pa.Table:
    """The last row of each value of a column."""
    keep_nulls = pc.ScalarAggregateOptions(skip_nulls=False)
    columns = [(name, "last", keep_nulls) for name in LR_FILES.names]
    found = ordered.group_by(by, use_threads=False).aggregate(columns)
    named = found.select([f"{name}_last" for name in LR_FILES.names])
    return named.rename_columns(LR_FILES.names).cast(LR_FILES)


def _written(info: ObjectInfo) -> datetime:
    return info.modified or UNKNOWN


def _archived(pack: ObjectInfo, member: packs.Member) -> datetime:
    """When an LR file in a pack was archived, which may be long before its pack was written."""
    latest = pack.modified or datetime.now(UTC)
    if 0 < member.written <= latest.timestamp():
        return datetime.fromtimestamp(member.written, UTC)
    return _written(pack)


def _table(
    rows: Iterable[tuple[Any, ...]], schema: pa.Schema, seen: Callable[[int], None]
) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    done, left = 0, iter(rows)
    while some := tuple(islice(left, _BATCH_ROWS)):
        columns = [list(column) for column in zip(*some, strict=True)]
        batches.append(pa.record_batch(columns, schema=schema))
        done += len(some)
        seen(done)
    return pa.Table.from_batches(batches, schema=schema)
