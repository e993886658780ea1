"""A folder that is only read: `readonly://disk/mnt/snapshot`. Every write is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.storage.errors import StorageError
from tasks.storage.local import LocalStore
from tasks.storage.store import ObjectInfo, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class ReadOnlyStore(Store):
    """A local folder behind an interface that writes nothing."""

    def __init__(self, url: str, root: Path) -> None:
        super().__init__(url)
        self._folder = LocalStore(url, root)

    @property
    def _address(self) -> tuple[Any, ...]:
        return self.url, self._folder.root

    def require_root(self) -> None:
        """See `Store.require_root`."""
        self._folder.require_root()

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `Store.list`."""
        return self._folder.list(prefix)

    def info(self, key: str) -> ObjectInfo:
        """See `Store.info`."""
        return self._folder.info(key)

    def get(self, key: str) -> bytes:
        """See `Store.get`."""
        return self._folder.get(key)

    def put(self, key: str, data: bytes) -> None:
        """Refused."""
        raise self._refusal(key)

    def put_new(self, key: str, data: bytes) -> bool:
        """Refused."""
        raise self._refusal(key)

    def delete(self, key: str) -> None:
        """Refused."""
        raise self._refusal(key)

    def _refusal(self, key: str) -> StorageError:
        return StorageError(f"{self.url}: {key} is not written: this store is only read")
