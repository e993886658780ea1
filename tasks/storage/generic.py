"""Any other fsspec file system as a store.

Collections are read from all of them. An archive can lie where Delta Lake can keep the catalog too:
on Azure Blob Storage and on Google Cloud Storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import RLock
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem
from fsspec.core import url_to_fs

from rescaling_core.errors import UsageError
from tasks.storage import patience
from tasks.storage.delta_places import GOOGLE, DeltaPlace, delta_place
from tasks.storage.errors import (
    ObjectNotFoundError,
    ObjectUnreadableError,
    StorageError,
    UnstorableKeyError,
)
from tasks.storage.objects import ObjectInfo
from tasks.storage.place import Place, local_place
from tasks.storage.store import Store


class GenericStore(Store):
    """Objects below an fsspec URL; what the protocol cannot do shows in the probe."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        try:
            self._fs, root = url_to_fs(
                url, use_listings_cache=False, **patience.for_filesystem(url)
            )
        except (ValueError, ImportError) as error:
            known = "a path, file://, s3:// or another protocol fsspec knows"
            raise UsageError(f"{url}: {_one_line(error)}; expected {known}") from error
        except Exception as error:  # some connect and log in here already
            raise StorageError(
                f"{url}: cannot connect: {_one_line(error)}", retryable=patience.may_pass(error)
            ) from error
        patience.make_patient(self._fs)
        self._root = str(root).rstrip("/") + "/"
        # FTP has one connection, on which one thing at a time can be asked for.
        self._turns: AbstractContextManager[object] = (
            RLock() if self._fs.protocol == "ftp" else nullcontext()
        )

    @property
    def place(self) -> Place:
        """See `Store.place`."""
        protocol = self._fs.protocol if isinstance(self._fs.protocol, str) else self._fs.protocol[0]
        if protocol in ("file", "local"):  # reached through another protocol, such as dir::
            return local_place(Path(self._root))
        names = ("account_name", "host")  # of Azure; of file systems on one server
        server = next(
            (str(getattr(self._fs, name)) for name in names if hasattr(self._fs, name)), ""
        )
        return Place((protocol, server), self._root, self.url.rstrip("/"))

    def require_root(self) -> None:
        """See `Store.require_root`."""
        with self._naming("look at the folder"):
            if not self._is_folder(self._root.rstrip("/") or "/"):
                raise UsageError(f"{self.url}: no such folder")

    def _is_folder(self, path: str) -> bool:
        """As `isdir` of fsspec's own, which says no as well where no answer came."""
        if not _asks_info(self._fs):
            return bool(self._fs.isdir(path))
        try:
            return bool(self._fs.info(path)["type"] == "directory")
        except FileNotFoundError:
            return False

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `Store.list`; fsspec holds the listing in memory here."""
        folder = (self._root + prefix).rpartition("/")[0]
        with self._naming(f"list {prefix or 'objects'}"):
            found = dict(self._found(folder or "/"))
        infos = sorted(
            (self._describe(name[len(self._root) :], entry) for name, entry in found.items()),
            key=lambda info: info.key,
        )
        yield from (info for info in infos if info.key.startswith(prefix))

    def _found(self, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names and entries of all files below a folder.

        fsspec's own walk leaves out every folder that it gets no answer about, without a word.
        """
        if not _walks(self._fs):
            yield from self._fs.find(folder, detail=True).items()
            return
        waiting, seen = [folder], {folder.rstrip("/")}
        while waiting:
            entered = waiting.pop()
            try:
                entries = self._fs.ls(entered, detail=True)
            except (FileNotFoundError, NotADirectoryError):  # gone since its parent was listed
                continue
            if not entries and self._fs.protocol == "ftp":
                self._fs.ftp.dir(entered, _ignored)  # raises where there was no answer above
            for entry in entries:
                name = entry["name"]
                if entry["type"] != "directory":
                    if entry["size"] is None:  # over HTTP only each file's own answer says it
                        with suppress(FileNotFoundError):
                            yield name, self._fs.info(name)
                        continue
                    yield name, entry
                elif name.rstrip("/") not in seen:
                    seen.add(name.rstrip("/"))
                    waiting.append(name)

    def info(self, key: str) -> ObjectInfo:
        """See `Store.info`."""
        with self._naming(f"look up {key}", key):
            entry = self._fs.info(self._path(key))
        if entry["type"] != "file":
            raise ObjectNotFoundError(f"{self.url}: no object {key}")
        return self._describe(key, entry)

    def get(self, key: str) -> bytes:
        """See `Store.get`."""
        with self._naming(f"read {key}", key):
            data: bytes = self._fs.cat_file(self._path(key))
        return data

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """See `Store.get_range`."""
        try:
            with self._naming(f"read {key}", key):
                data: bytes = self._fs.cat_file(self._path(key), start=start, end=start + length)
        except StorageError:
            if self.info(key).size > start:
                raise
            return b""  # the servers refuse to read from behind the end
        return data

    def put(self, key: str, data: bytes) -> None:
        """See `Store.put`."""
        with self._naming(f"write {key}"):
            self._fs.pipe_file(self._path(key), data)

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`."""
        with self._naming(f"write {key}"):
            try:
                self._fs.pipe_file(self._path(key), data, mode="create")
            except FileExistsError:
                return False
            return True

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        with self._naming(f"delete {key}"):
            try:
                self._fs.rm_file(self._path(key))
            except FileNotFoundError:
                return

    def delta_uri(self, prefix: str) -> str:
        """See `Store.delta_uri`."""
        return self._delta_place(prefix).uri

    def delta_options(self) -> dict[str, str]:
        """See `Store.delta_options`."""
        return {**patience.for_delta(), **self._delta_place("").options}

    def _delta_place(self, prefix: str) -> DeltaPlace:
        self._refuse_misread(self._root)
        place = delta_place(self._fs, self._root + prefix)
        if place is None:
            raise StorageError(
                f"{self.url}: a catalog cannot be kept there; an archive lies in a folder, on S3 "
                "(s3://), on Azure (abfs://) or on Google Cloud Storage (gs://)"
            )
        return place

    def _path(self, key: str) -> str:
        if any(part in ("", ".", "..") for part in key.split("/")):
            raise UnstorableKeyError(f"{self.url}: key {key!r} has an empty, '.' or '..' part")
        return self._root + key

    @staticmethod
    def _describe(key: str, entry: dict[str, Any]) -> ObjectInfo:
        marks = ("ETag", "etag", "checksum", "mtime", "created", "modify", "Last-Modified")
        changed = next((entry[mark] for mark in marks if mark in entry), "")
        if isinstance(changed, datetime):
            changed = changed.timestamp()
        size = entry["size"] or 0
        return ObjectInfo(
            key=key,
            size=size,
            etag=f"{changed}-{size:x}".replace('"', ""),
            modified=_written(entry),
        )

    @contextmanager
    def _naming(self, what: str, key: str | None = None) -> Iterator[None]:
        try:
            with self._turns:
                yield
        except (StorageError, UsageError):
            raise
        except FileNotFoundError as error:
            if key is not None:
                raise ObjectNotFoundError(f"{self.url}: no object {key}") from error
            raise StorageError(f"{self.url}: cannot {what}: {_one_line(error)}") from error
        except PermissionError as error:
            kind = StorageError if key is None else ObjectUnreadableError
            raise kind(f"{self.url}: cannot {what}: {_one_line(error)}") from error
        except Exception as error:  # each client has classes of its own
            raise StorageError(
                f"{self.url}: cannot {what}: {_one_line(error)}",
                retryable=patience.may_pass(error),
            ) from error


def _walks(filesystem: Any) -> bool:
    """Whether a file system finds files by fsspec's own walk, not by a listing of its store's."""
    if isinstance(filesystem, AsyncFileSystem):
        return type(filesystem)._find is AsyncFileSystem._find
    return type(filesystem).find is AbstractFileSystem.find


def _ignored(_line: str) -> None:
    """What is done with a line that is of no interest."""


def _asks_info(filesystem: Any) -> bool:
    """Whether a file system tells folders by `info`, swallowing its errors."""
    if not isinstance(filesystem, AsyncFileSystem):
        return type(filesystem).isdir is AbstractFileSystem.isdir
    return type(filesystem)._isdir is AsyncFileSystem._isdir or bool(
        GOOGLE & set(filesystem.protocol)
    )


def _written(entry: dict[str, Any]) -> datetime | None:
    """When an object was last written, where the store's client says so."""
    for name in ("last_modified", "LastModified", "updated", "mtime"):
        value = entry.get(name)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
    return None


def _one_line(error: BaseException) -> str:
    text = str(error).strip()
    if not text and isinstance(error, TimeoutError):
        return "no answer came in time"
    return text.splitlines()[0] if text else type(error).__name__
