"""The LR objects that lie in an archive, whatever its catalog says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from tasks.catalog.schema import TIME

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.storage import ObjectInfo, Store

PREFIX: Final = "renditions/"

SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("modified", TIME, nullable=False),
    ]
)
"""Key relative to the archive, bytes, when it was written (1970 where the store does not say)."""

UNKNOWN: Final = datetime.fromtimestamp(0, UTC)
"""Of an object whose store does not say when it was written."""

_BATCH_ROWS: Final = 65_536


def list_lr_objects(archive: Store, seen: Callable[[int], None]) -> pa.Table:
    """List all LR objects, about 150 bytes of memory each.

    Args:
        archive: The store they lie in.
        seen: Called with the number of objects listed so far, for those who watch.

    Returns:
        Of `SCHEMA`, sorted by key.

    Raises:
        StorageError: The listing could not be completed.
    """
    batches: list[pa.RecordBatch] = []
    done = 0
    listing = archive.list(PREFIX)
    while infos := tuple(islice(listing, _BATCH_ROWS)):
        batches.append(_batch(infos))
        done += len(infos)
        seen(done)
    return pa.Table.from_batches(batches, schema=SCHEMA)


def newest_of_each(objects: pa.Table) -> pa.Table:
    """The newest LR object of each source and target: the others are of earlier sources.

    Args:
        objects: Of `SCHEMA`.

    Returns:
        Of `SCHEMA`, sorted by key.
    """
    folder = pc.replace_substring_regex(objects.column("key"), r"/[^/]*$", "")
    ordered = objects.append_column("folder", folder).sort_by(
        [("modified", "ascending"), ("key", "ascending")]
    )
    columns = [(name, "last") for name in SCHEMA.names]
    newest = ordered.group_by("folder", use_threads=False).aggregate(columns)
    named = newest.select([f"{name}_last" for name in SCHEMA.names]).rename_columns(SCHEMA.names)
    return named.cast(SCHEMA).sort_by("key")


def _batch(infos: tuple[ObjectInfo, ...]) -> pa.RecordBatch:
    columns = [
        [info.key for info in infos],
        [info.size for info in infos],
        [info.modified or UNKNOWN for info in infos],
    ]
    return pa.record_batch(columns, schema=SCHEMA)
