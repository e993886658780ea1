"""The source of a rendition as it was archived: its bytes decide, not its name or its mark."""

from __future__ import annotations

import hashlib

from rescaling_core.errors import RefoldError
from tasks.catalog import CatalogRow
from tasks.storage import ObjectColdError, ObjectNotFoundError, Store


class SourceChangedError(RefoldError):
    """What lies under the source's key is not what was archived."""


def source_as_archived(source: Store, row: CatalogRow) -> bytes:
    """The bytes that a row's rendition was made from.

    Args:
        source: The collection.
        row: Its digest says which bytes are meant. A source whose modification time changed and
            whose bytes did not is still what was archived.

    Raises:
        ObjectNotFoundError: Nothing lies under the key.
        SourceChangedError: Something else does.
        StorageError: The store failed.
    """
    key = row.source_key
    if source.info(key).size != row.source_size:  # saves the reading, decides nothing else
        raise SourceChangedError(f"{key}: the source has changed since it was archived")
    data = source.get(key)
    if hashlib.sha256(data).hexdigest() != row.source_sha256:
        raise SourceChangedError(f"{key}: the source's bytes are not those that were archived")
    return data


def unchanged_source(source: Store | None, row: CatalogRow) -> bytes | None:
    """As `source_as_archived`; None if it is gone, has changed, or there is no collection.

    What lies in a cold class is as good as gone.

    Raises:
        StorageError: The store failed, so that nothing is known.
    """
    if source is None:
        return None
    try:
        return source_as_archived(source, row)
    except (ObjectNotFoundError, ObjectColdError, SourceChangedError):
        return None
