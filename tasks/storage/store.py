"""What every store can do."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from rescaling_core.errors import UsageError
from tasks.storage.errors import (
    ObjectChangedError,
    ObjectLockedError,
    ObjectNotFoundError,
    StorageError,
)
from tasks.storage.objects import ObjectInfo, Surveyed
from tasks.storage.place import Place

_MISREAD_BY_DELTA: Final = re.compile(r"%[0-9A-Fa-f]{2}|[\\\x00-\x1f\x7f\ud800-\udfff]")


class Store(ABC):
    """A root URL and the objects below it.

    Keys are arbitrary text, not paths: what a store cannot name it refuses with
    `UnstorableKeyError`, and no key reaches anything outside the root. A store is pickled as its
    URL; connections never cross process borders.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the URL."""
        return type(self), self._address

    @property
    def _address(self) -> tuple[Any, ...]:
        """What the constructor was given, and is given again in another process."""
        return (self.url,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def has_classes(self) -> bool:
        """Whether objects lie in storage classes, into which `move_to_class` puts them."""
        return False

    @property
    def keeps_versions(self) -> bool:
        """Whether what was deleted or moved here is known to be hidden only: its bytes stay."""
        return False

    @property
    def reads_at_once(self) -> int:
        """How many small reads are best under way at once."""
        return 8

    @property
    def place(self) -> Place:
        """Where this store really lies, whatever its URL looks like."""
        name = self.url.rstrip("/")
        return Place(("url",), f"{name}/", name)

    @abstractmethod
    def require_root(self) -> None:
        """Check that there is something to read from.

        Raises:
            UsageError: The folder, bucket or prefix does not exist.
            StorageError: It cannot be reached or read.
        """

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with `prefix`, sorted by key, in bounded memory.

        Keys sort by code point, which is the order of their UTF-8 bytes. Folders are not objects.

        Raises:
            StorageError: The listing cannot be completed; it never just ends early.
        """

    def survey(
        self,
        may_enter: Callable[[str], bool] | None = None,
        *,
        avoid: Sequence[Place] = (),
    ) -> Iterator[Surveyed]:
        """Yield all that lies in a collection, sorted by key; what cannot be read is told as such.

        Unlike `list`, it goes on behind a folder that cannot be read, and tells of links.

        Args:
            may_enter: Whether a folder, by its key with a slash at the end, may hold what is
                wanted; others are not entered.
            avoid: Places that are not entered, though they lie inside: archives.

        Raises:
            StorageError: The listing cannot be completed.
        """
        yield from map(Surveyed, self.list())

    @abstractmethod
    def info(self, key: str) -> ObjectInfo:
        """Look one object up.

        Raises:
            ObjectNotFoundError: It is not there.
        """

    @abstractmethod
    def get(self, key: str) -> bytes:
        """Read one object.

        Raises:
            ObjectNotFoundError: It is not there.
        """

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Read a part of one object: fewer bytes, or none, where the object ends before.

        Args:
            key: Of the object.
            start: The first byte, from 0 on.
            length: Bytes, at least 1.

        Raises:
            ObjectNotFoundError: It is not there.
        """
        return self.get(key)[start : start + length]

    def get_version(self, key: str, etag: str) -> bytes:
        """Read one object if it is still the one that was listed.

        Raises:
            ObjectNotFoundError: It is not there.
            ObjectChangedError: Another version lies there now, or it changed while it was read.
        """
        if self.info(key).etag == etag:
            data = self.get(key)
            if self.info(key).etag == etag:
                return data
        raise ObjectChangedError(f"{self.url}: {key} is not what was listed any more")

    def chunks(self, key: str) -> Iterator[bytes]:
        """Read one object piece by piece, where the store can, for those too large for memory.

        Raises:
            ObjectNotFoundError: It is not there.
            StorageError: It was replaced while it was read.
        """
        yield self.get(key)

    def thaw(self, key: str) -> None:
        """Ask for an object of a cold class to be made readable for some days.

        That takes hours. To ask again while it is under way changes nothing.

        Raises:
            StorageError: The store refuses that, or has no cold classes.
        """
        raise StorageError(f"{self.url}: {key}: this store has no classes to thaw objects from")

    def class_of(self, key: str) -> str | None:
        """The storage class that an object lies in; None if the store has no classes.

        Raises:
            ObjectNotFoundError: It is not there.
        """
        return None

    def move_to_class(self, info: ObjectInfo, storage_class: str) -> ObjectInfo:
        """Put an object into another storage class, where it lies, if it is what was looked at.

        Returns:
            As it lies there then; its etag may be another one.

        Raises:
            ObjectNotFoundError: It is not there.
            ObjectChangedError: Another version lies there now.
            StorageError: The store refuses that, or has no classes.
        """
        raise StorageError(f"{self.url}: {info.key}: this store has no storage classes")

    @abstractmethod
    def put(self, key: str, data: bytes) -> None:
        """Write one object whole, replacing what is there."""

    @abstractmethod
    def put_new(self, key: str, data: bytes) -> bool:
        """Write one object whole unless the key exists.

        Returns:
            Whether this call wrote it. False may also follow a write of ours whose answer was
            lost and that was tried again: under keys named by their content both mean stored.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove one object; an object that is gone already is not an error."""

    def retain(self, key: str, *, dry_run: bool = False) -> bool:
        """Renew the retention that the settings ask for, if less than half of it is left.

        Args:
            key: Of an object that is to be kept for longer.
            dry_run: Only look.

        Returns:
            Whether it was renewed, or would be.

        Raises:
            ObjectNotFoundError: It is not there.
            StorageError: The store refuses that.
        """
        return False

    def refuse_locked(self, info: ObjectInfo) -> None:
        """Make sure that nothing keeps an object that is to be removed.

        Args:
            info: As `info` told of it just now.

        Raises:
            ObjectLockedError: A retention or a legal hold does.
        """
        if info.lock is not None and info.lock.stands:
            raise ObjectLockedError(f"{self.url}: {info.key} is kept by {info.lock}")

    def remove_unfinished(self, before: datetime, *, dry_run: bool = False) -> tuple[str, ...]:
        """Remove what killed writers left that is not an object: half files, begun uploads.

        Args:
            before: What was begun later stays: somebody may be writing it.
            dry_run: Only look for them.

        Returns:
            What was removed: paths of half files, keys of uploads.
        """
        return ()

    def refuse_links(self, prefix: str) -> None:  # noqa: B027 - most stores have no links
        """Make sure that nothing below a prefix leads elsewhere, before it is given to a library.

        Raises:
            StorageError: A symbolic link lies there.
        """

    def exists(self, key: str) -> bool:
        """Whether there is an object under this key."""
        try:
            self.info(key)
        except ObjectNotFoundError:
            return False
        return True

    def delta_uri(self, prefix: str) -> str:
        """URL of a Delta table below the root, as `deltalake` wants it.

        Raises:
            UsageError: The root's address holds what Delta Lake reads in another way.
            StorageError: Delta tables cannot be kept in such a store.
        """
        raise StorageError(f"{self.url}: a catalog can be kept on local files and on S3 only")

    def _refuse_misread(self, address: str) -> None:
        """Delta Lake decodes `%20` once too often, turns backslashes, lacks control characters."""
        if found := _MISREAD_BY_DELTA.search(address):
            raise UsageError(
                f"{self.url!r}: an archive's address cannot hold {found[0]!r}, which Delta Lake "
                "cannot read or would read as another; choose another one"
            )

    def delta_options(self) -> dict[str, str]:
        """Storage options for `deltalake`, credentials of the moment included."""
        return {}
