"""Object stores and local folders behind one interface.

Only this package imports fsspec, s3fs and obstore. Addresses (URLs, keys) cross process borders;
the connections behind a `Store` never do.
"""

from __future__ import annotations

from pathlib import Path

from rescaling_core.errors import UsageError
from tasks.storage.addresses import parse_address
from tasks.storage.errors import (
    NothingStoredError,
    NotPermittedError,
    ObjectChangedError,
    ObjectColdError,
    ObjectLockedError,
    ObjectNotFoundError,
    ObjectUnreadableError,
    StorageError,
    UnstorableKeyError,
)
from tasks.storage.local import LocalStore
from tasks.storage.objects import ObjectInfo, Surveyed, Trouble
from tasks.storage.place import Place
from tasks.storage.secrets import refuse_credentials
from tasks.storage.store import Store

__all__ = [
    "NotPermittedError",
    "NothingStoredError",
    "ObjectChangedError",
    "ObjectColdError",
    "ObjectInfo",
    "ObjectLockedError",
    "ObjectNotFoundError",
    "ObjectUnreadableError",
    "Place",
    "StorageError",
    "Store",
    "Surveyed",
    "Trouble",
    "UnstorableKeyError",
    "open_store",
]


def open_store(url: str, *, follow_links: bool = False) -> Store:
    """Open a store by its URL; nothing is created, and nothing need exist yet.

    Args:
        url: A path, `file://path`, `s3://bucket/prefix`, or another fsspec URL. Taken as it is:
            percent signs, spaces and question marks are not decoded. Only `~` is expanded.
        follow_links: Of a local folder, whether links below it are followed. An archive's never
            are; of a collection's sources those are not that lie outside it.

    Raises:
        UsageError: Not a URL of a known kind, a slip such as `s3:/bucket`, no credentials for it,
            or credentials within it.
    """
    refuse_credentials(url)
    protocol, rest = parse_address(url)
    if protocol is None:
        return LocalStore(url, Path(rest), follow_links)
    if protocol in ("file", "local"):
        if not rest.startswith("/"):
            raise UsageError(f"{url}: a file URL has three slashes, such as file:///data/photos")
        return LocalStore(url, Path(rest), follow_links)
    if protocol in ("s3", "s3a"):
        from tasks.storage.s3.store import S3Store

        return S3Store(url, rest)
    from tasks.storage.generic import GenericStore

    return GenericStore(url)
