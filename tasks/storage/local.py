"""A folder of the local file system as a store.

A key is the path below the root; `names` says which keys there are. Links below the root are not
followed unless that was asked for: an archive that somebody sent must not lead elsewhere.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Final

from rescaling_core.errors import UsageError
from tasks.storage.beneath import Beneath, LinkInTheWayError
from tasks.storage.errors import ObjectChangedError, StorageError, UnstorableKeyError
from tasks.storage.files import described, modified_at, version_mark
from tasks.storage.folders import FolderWalk
from tasks.storage.local_errors import NOT_THERE, reading, writing
from tasks.storage.names import MAX_PATH_BYTES, path_of
from tasks.storage.objects import ObjectInfo, Surveyed
from tasks.storage.place import LocalPlace, Place, local_place
from tasks.storage.store import Store

_UNFINISHED: Final = re.compile(r"\.[0-9a-f]{16}\.refold-tmp")
"""What a killed writer leaves; not an object, never listed."""

_NO_HOST_NAME: Final = re.compile(r"[\[\]|^]")
"""Delta Lake takes a path for a host's name on its way to a query, and panics at these."""


class LocalStore(Store):
    """Objects are files; a file appears under its name whole or not at all."""

    def __init__(self, url: str, root: Path, follow_links: bool = False) -> None:
        """Name a folder; nothing is looked at.

        Args:
            url: As it was given.
            root: The folder, which may be a link itself.
            follow_links: Whether links below it are followed.
        """
        super().__init__(url)
        self.root = root.absolute()
        self._beneath = Beneath(self.root, follow_links)

    @property
    def _address(self) -> tuple[str, Path, bool]:
        return self.url, self.root, self._beneath.follow_links

    @property
    def reads_at_once(self) -> int:
        """See `Store.reads_at_once`: threads that do not wait only hinder each other."""
        return 2

    @property
    def place(self) -> Place:
        """See `Store.place`."""
        return local_place(self.root)

    def require_root(self) -> None:
        """See `Store.require_root`."""
        if not self.root.exists():
            raise UsageError(f"{self.url}: no such folder")
        if not self.root.is_dir():
            raise UsageError(f"{self.url}: not a folder")

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `Store.list`; memory grows with the largest single folder. Links are passed over."""
        if not self.root.is_dir():
            return
        for found in self._walk(prefix).entries():
            if found.trouble is None:
                yield found.info
            elif not found.trouble.error_class.startswith(("Link", "NotAFile")):
                raise StorageError(f"cannot list {self.root}: {found.trouble.reason}")

    def survey(
        self,
        may_enter: Callable[[str], bool] | None = None,
        *,
        avoid: Sequence[Place] = (),
    ) -> Iterator[Surveyed]:
        """See `Store.survey`."""
        if self.root.is_dir():
            places = [place for place in avoid if isinstance(place, LocalPlace)]
            yield from self._walk("", may_enter=may_enter, avoid=places).entries()

    def _walk(
        self,
        prefix: str,
        may_enter: Callable[[str], bool] | None = None,
        avoid: Sequence[LocalPlace] = (),
    ) -> FolderWalk:
        return FolderWalk(self._beneath, _UNFINISHED, prefix, may_enter, tuple(avoid))

    def info(self, key: str) -> ObjectInfo:
        """See `Store.info`."""
        path = self._path(key)
        with reading(self.url, key):
            status = self._beneath.status(path)
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError
            return described(key, status)

    def get(self, key: str) -> bytes:
        """See `Store.get`."""
        path = self._path(key)
        with reading(self.url, key), self._beneath.file(path) as descriptor:
            return _read_all(descriptor)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """See `Store.get_range`."""
        path = self._path(key)
        with reading(self.url, key), self._beneath.file(path) as descriptor:
            there = os.fstat(descriptor).st_size - start
            if there <= 0:
                return b""
            with open(descriptor, "rb", closefd=False) as file:
                file.seek(start)
                return file.read(min(length, there))

    def get_version(self, key: str, etag: str) -> bytes:
        """See `Store.get_version`: the open file is looked at before and after it is read."""
        path = self._path(key)
        with reading(self.url, key), self._beneath.file(path) as descriptor:
            before = version_mark(os.fstat(descriptor))
            data = _read_all(descriptor) if before == etag else b""
            if version_mark(os.fstat(descriptor)) != etag:
                raise ObjectChangedError(f"{self.url}: {key} is not what was listed any more")
            return data

    def put(self, key: str, data: bytes) -> None:
        """See `Store.put`."""
        with self._written_beside(key, data) as (folder, temporary, name):
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            _sync_folder(folder)

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`: linking a finished file to its name cannot overwrite."""
        if self._is_taken(key):  # saves the writing, decides nothing
            return False
        with self._written_beside(key, data) as (folder, temporary, name):
            try:
                os.link(
                    temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False
                )
            except FileExistsError:
                return False
            _sync_folder(folder)
            return True

    def delete(self, key: str) -> None:
        """See `Store.delete`; folders that became empty go too. A link goes, not its target."""
        *folders, name = self._path(key).split("/")
        with writing(self.url, "delete", key):
            try:
                with self._beneath.folder(folders) as folder:
                    os.unlink(name, dir_fd=folder)
            except FileNotFoundError:
                return
        while folders and self._remove_if_empty(folders):
            folders.pop()

    def remove_unfinished(self, before: datetime, *, dry_run: bool = False) -> tuple[str, ...]:
        """See `Store.remove_unfinished`; links are not followed."""
        removed: list[str] = []
        for folder, _, names, descriptor in os.fwalk(self.root, follow_symlinks=False):
            for name in filter(_UNFINISHED.fullmatch, names):
                with writing(self.url, "remove", f"{folder}/{name}"), suppress(FileNotFoundError):
                    status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    if modified_at(status) < before:
                        if not dry_run:
                            os.unlink(name, dir_fd=descriptor)
                        removed.append(f"{folder}/{name}")
        return tuple(removed)

    def refuse_links(self, prefix: str) -> None:
        """See `Store.refuse_links`."""
        for found in self._walk(prefix).entries():
            if found.trouble is not None and found.trouble.error_class.startswith("Link"):
                raise StorageError(
                    f"{self.url}: {found.info.key} is {found.trouble.reason}; an archive holds no "
                    "links: put what it leads to in its place, or remove it"
                )

    def delta_uri(self, prefix: str) -> str:
        """See `Store.delta_uri`.

        Raises:
            UsageError: Delta Lake would misread the path, or a link leads out of the archive there.
        """
        path = self._path(prefix)
        whole = f"{self.root}/{path}"
        self._refuse_misread(whole)
        if found := _NO_HOST_NAME.search(whole):
            raise UsageError(
                f"{self.url!r}: an archive's address cannot hold {found[0]!r}: Delta Lake, which "
                "keeps the catalog, does not take such a path; choose another one"
            )
        if not self._beneath.follow_links:
            self._refuse_links(path)
        return whole

    def _refuse_links(self, path: str) -> None:
        """Delta Lake opens its files by itself and follows links, so there must be none."""
        try:
            with self._beneath.folder([*path.split("/"), "_delta_log"]):
                pass
        except LinkInTheWayError as error:
            raise UsageError(f"{self.url}: {error.strerror}") from error
        except OSError:
            return  # not there yet, or Delta Lake says what is wrong

    def _path(self, key: str) -> str:
        try:
            path = path_of(key)
        except ValueError as error:
            raise UnstorableKeyError(
                f"{self.url}: key {key!r} cannot be a file: {error}"
            ) from error
        if len(os.fsencode(path)) + len(os.fsencode(self.root)) + 1 > MAX_PATH_BYTES:
            raise UnstorableKeyError(
                f"{self.url}: key {key[:60]!r}... cannot be a file: its path is too long for a file"
            )
        return path

    def _is_taken(self, key: str) -> bool:
        try:
            self._beneath.status(self._path(key))
        except (LinkInTheWayError, *NOT_THERE):
            return False
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            return False  # the writing will tell
        return True

    @contextmanager
    def _written_beside(self, key: str, data: bytes) -> Iterator[tuple[int, str, str]]:
        """The folder of a key, a finished, flushed file in it, and the name it is to get."""
        *folders, name = self._path(key).split("/")
        temporary = f".{token_hex(8)}.refold-tmp"
        with writing(self.url, "write", key), self._beneath.folder(folders, create=True) as folder:
            descriptor = os.open(
                temporary,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                mode=0o666,
                dir_fd=folder,
            )
            try:
                with open(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                yield folder, temporary, name
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)

    def _remove_if_empty(self, folders: Sequence[str]) -> bool:
        try:
            with self._beneath.folder(folders[:-1]) as parent:
                os.rmdir(folders[-1], dir_fd=parent)
        except OSError:
            return False
        return True


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read()


def _sync_folder(folder: int) -> None:
    descriptor = os.open(".", os.O_RDONLY, dir_fd=folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
