"""A folder of the local file system as a store.

A key is the path below the root. Keys that no path can spell (an empty, `.` or `..` part, a part
over 255 bytes) are refused. File names that are no UTF-8 get keys all the same: byte 0xNN becomes
the private-use character U+EFNN, and back.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Final

from rescaling_core.errors import UsageError
from tasks.storage.errors import (
    ObjectNotFoundError,
    ObjectUnreadableError,
    StorageError,
    UnstorableKeyError,
)
from tasks.storage.store import ObjectInfo, Store

MAX_PART_BYTES: Final = 255
"""Longest file name on the usual file systems."""

_UNFINISHED: Final = re.compile(r"\.[0-9a-f]{16}\.refold-tmp")
"""What a killed writer leaves; no object, never listed."""

_NO_HOST_NAME: Final = re.compile(r"[\[\]|^]")
"""Delta Lake takes a path for a host's name on its way to a query, and panics at these."""

_OF_THIS_PROCESS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors that say nothing about the file that was to be read."""

_UNDECODED: Final = {0xDC00 + byte: 0xEF00 + byte for byte in range(0x80, 0x100)}
"""From Python's stand-ins for undecodable bytes (PEP 383) to characters every system carries."""
_ENCODED: Final = {private: surrogate for surrogate, private in _UNDECODED.items()}


class LocalStore(Store):
    """Objects are files; a file appears under its name whole or not at all."""

    def __init__(self, url: str, root: Path) -> None:
        super().__init__(url)
        self.root = root.absolute()

    @property
    def _address(self) -> tuple[str, Path]:
        return self.url, self.root

    def require_root(self) -> None:
        """See `Store.require_root`."""
        if not self.root.exists():
            raise UsageError(f"{self.url}: no such folder")
        if not self.root.is_dir():
            raise UsageError(f"{self.url}: not a folder")

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """See `Store.list`; memory grows with the largest single folder.

        Links are followed, dangling ones passed over, and a loop of links is not entered.
        """
        if self.root.is_dir():
            yield from self._walk(self.root, "", prefix, frozenset())

    def _walk(
        self, folder: Path, base: str, prefix: str, above: frozenset[tuple[int, int]]
    ) -> Iterator[ObjectInfo]:
        with _naming(f"list {folder}"):
            status = folder.stat()
            names = sorted(self._names(folder))
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        for name, real_name in names:
            key = base + name
            if not (key.startswith(prefix) or prefix.startswith(key)):
                continue
            if name.endswith("/"):
                yield from self._walk(folder / real_name, key, prefix, above | {here})
            elif key.startswith(prefix) and (found := _look_up(f"{folder}/{real_name}", key)):
                yield found

    def _names(self, folder: Path) -> Iterator[tuple[str, str]]:
        """(part of the key, file name); folders end in `/`, so that they sort as their keys do."""
        with os.scandir(folder) as entries:
            for entry in entries:
                if _UNFINISHED.fullmatch(entry.name):
                    continue
                name = entry.name
                if not name.isascii():
                    name = _key_part(folder, name)
                yield (f"{name}/" if entry.is_dir() else name), entry.name

    def info(self, key: str) -> ObjectInfo:
        """See `Store.info`."""
        path = self._path(key)
        found = _look_up(path, key)
        if found is None:
            raise ObjectNotFoundError(f"{self.url}: no object {key}")
        return found

    def get(self, key: str) -> bytes:
        """See `Store.get`."""
        path = self._path(key)
        with _naming(f"read {key} from {self.url}"):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise ObjectNotFoundError(f"{self.url}: no object {key}") from None
            except OSError as error:
                if error.errno in _OF_THIS_PROCESS:
                    raise
                reason = error.strerror or str(error)
                raise ObjectUnreadableError(
                    f"{self.url}: {key} cannot be read: {reason}"
                ) from error

    def put(self, key: str, data: bytes) -> None:
        """See `Store.put`."""
        path = self._path(key)
        with _naming(f"write {key} to {self.url}"), _written_beside(path, data) as temporary:
            temporary.replace(path)
            _sync_folder(path.parent)

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`: linking a finished file to its name cannot overwrite."""
        path = self._path(key)
        with _naming(f"write {key} to {self.url}"):
            if path.exists():  # saves the writing, decides nothing
                return False
            with _written_beside(path, data) as temporary:
                try:
                    path.hardlink_to(temporary)
                except FileExistsError:
                    return False
                _sync_folder(path.parent)
                return True

    def delete(self, key: str) -> None:
        """See `Store.delete`; folders that became empty go too."""
        path = self._path(key)
        with _naming(f"delete {key} from {self.url}"):
            path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.root or not _remove_if_empty(folder):
                return

    def remove_unfinished(self, before: datetime, *, dry_run: bool = False) -> int:
        """See `Store.remove_unfinished`; links to folders are not followed."""
        removed = 0
        for folder, _, names in os.walk(self.root):
            for name in filter(_UNFINISHED.fullmatch, names):
                path = Path(folder) / name
                with _naming(f"remove {path}"), suppress(FileNotFoundError):
                    if datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
                        if not dry_run:
                            path.unlink()
                        removed += 1
        return removed

    def delta_uri(self, prefix: str) -> str:
        """See `Store.delta_uri`."""
        path = self._path(prefix)
        self._refuse_misread(str(path))
        if found := _NO_HOST_NAME.search(str(path)):
            raise UsageError(
                f"{self.url!r}: an archive's address cannot hold {found[0]!r}: Delta Lake, which "
                "keeps the catalog, does not take such a path; choose another one"
            )
        return str(path)

    def _path(self, key: str) -> Path:
        name = key.translate(_ENCODED)
        if not (_is_utf8(key) and os.fsdecode(os.fsencode(name)) == name):
            raise UnstorableKeyError(f"{self.url}: key {key!r} cannot be a file: it is no UTF-8")
        for part in name.split("/"):
            reason = _unstorable(part)
            if reason:
                raise UnstorableKeyError(f"{self.url}: key {key!r} cannot be a file: {reason}")
        return self.root / name


def _is_utf8(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unstorable(part: str) -> str | None:
    """Why no file can have this name, None if one can."""
    if part == "":
        return "it has an empty part"
    if part in (".", ".."):
        return f"its part {part!r} means another folder"
    if "\0" in part:
        return "it holds a NUL character"
    if len(os.fsencode(part)) > MAX_PART_BYTES:
        return f"its part {part[:40]!r}... is over {MAX_PART_BYTES} bytes"
    return None


def _key_part(folder: Path, name: str) -> str:
    """A file name as a part of a key."""
    if any(ord(letter) in _ENCODED for letter in name):
        raise StorageError(
            f"{folder / name}: its name holds characters U+EF80 to U+EFFF, which stand for "
            "undecodable bytes here; rename it"
        )
    return name.translate(_UNDECODED)


def _look_up(path: Path | str, key: str) -> ObjectInfo | None:
    """The object, or None where there is no regular file (any more)."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"cannot look up {path}: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        return None
    etag = f"{status.st_mtime_ns:x}-{status.st_size:x}"
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return ObjectInfo(key=key, size=status.st_size, etag=etag, modified=modified)


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """A finished, flushed file in the folder of `path`; gone afterwards."""
    temporary = path.parent / f".{token_hex(8)}.refold-tmp"
    _create(temporary)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _create(path: Path) -> None:
    """Make the file and its folders, though a deletion beside us may remove an empty one."""
    for last in (False, False, True):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.touch(exist_ok=False)
        except FileNotFoundError:
            if last:
                raise
        else:
            return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Turn the system's errors into ours."""
    try:
        yield
    except StorageError:
        raise
    except (NotADirectoryError, FileExistsError) as error:
        raise StorageError(f"cannot {what}: a file lies where a folder should be") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UnstorableKeyError(f"cannot {what}: its path is too long for a file") from error
        raise StorageError(f"cannot {what}: {error.strerror or error}") from error
