"""Walking a local folder: every file in the order of keys, and what cannot be read as such."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tasks.storage.beneath import Beneath
from tasks.storage.errors import StorageError
from tasks.storage.files import described
from tasks.storage.names import escaped, key_part
from tasks.storage.objects import ObjectInfo, Surveyed, Trouble, TroubleKind
from tasks.storage.place import LocalPlace, local_place

_LOOKED_UP_TOGETHER: Final = 1024
"""Files whose status is held in memory at once."""

_OF_THIS_PROCESS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

_NO_FILES: Final = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

_Kind = Literal["folder", "file", "link", "unspellable"]


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is to be entered."""

    parts: tuple[str, ...]
    """Names from the root down."""
    key: str
    """Empty, or ending in a slash."""
    above: frozenset[tuple[int, int]]
    """(device, inode) of the folders that lead here: it is not entered if it is one of them."""


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    """A name in a folder. Folders end in `/`, so that they sort as their keys do."""

    part: str
    name: str
    kind: _Kind


@dataclass(frozen=True, slots=True)
class FolderWalk:
    """How to walk the folder of a store."""

    beneath: Beneath
    passed_over: re.Pattern[str]
    """File names that are not objects."""
    prefix: str = ""
    """Only keys that start with it."""
    may_enter: Callable[[str], bool] | None = None
    """Whether a folder is entered, by its key."""
    avoid: tuple[LocalPlace, ...] = ()
    """Folders that are not entered, by whatever way they are reached."""

    def entries(self) -> Iterator[Surveyed]:
        """Everything in the folder, sorted by key.

        A link to something inside the folder is passed over: that is listed under its own name.

        Raises:
            StorageError: The root cannot be read.
        """
        ways = [self._read(_Folder((), "", frozenset()))]
        while ways:  # not a recursion: folders may be nested deeper than Python allows calls to be
            found = next(ways[-1], None)
            if found is None:
                ways.pop()
            elif isinstance(found, _Folder):
                ways.append(self._read(found))
            else:
                yield found

    def _read(self, folder: _Folder) -> Iterator[Surveyed | _Folder]:
        try:
            with self.beneath.listed_folder(folder.parts) as descriptor:
                status = os.fstat(descriptor)
                entries = sorted(self._entries(descriptor))
        except FileNotFoundError:
            return  # gone since its own folder was read
        except OSError as error:
            yield self._unreadable(folder, error)
            return
        here = (status.st_dev, status.st_ino)
        if here in folder.above:
            return
        if folder.parts and any(place.above[-1:] == (here,) for place in self._ends):
            yield _troubled(folder.key, "ArchiveInside", "an archive lies here: passed over")
            return
        below = _Folder(folder.parts, folder.key, folder.above | {here})
        for start in range(0, len(entries), _LOOKED_UP_TOGETHER):
            some = entries[start : start + _LOOKED_UP_TOGETHER]
            try:
                with self.beneath.folder(folder.parts) as descriptor:
                    found = [self._look(descriptor, below, entry) for entry in some]
            except OSError as error:
                yield self._unreadable(folder, error)
                return
            yield from (one for one in found if one is not None)

    @property
    def _ends(self) -> list[LocalPlace]:
        return [place for place in self.avoid if not place.rest]

    def _unreadable(self, folder: _Folder, error: OSError) -> Surveyed:
        reason = error.strerror or str(error)
        if not folder.parts or error.errno in _OF_THIS_PROCESS:
            where = Path(self.beneath.root, *folder.parts)
            raise StorageError(f"cannot list {where}: {reason}") from error
        return _troubled(
            folder.key, "FolderUnreadable", f"the folder {folder.key} cannot be read: {reason}"
        )

    def _entries(self, descriptor: int) -> Iterator[_Entry]:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if self.passed_over.fullmatch(entry.name):
                    continue
                kind: _Kind = "file"
                if entry.is_symlink():
                    kind = "link"
                elif entry.is_dir(follow_symlinks=False):
                    kind = "folder"
                try:
                    part = key_part(entry.name)
                except ValueError:
                    kind, part = "unspellable", escaped(entry.name)
                holds_keys = kind == "folder" or (kind == "link" and self._leads_on(entry))
                yield _Entry(f"{part}/" if holds_keys else part, entry.name, kind)

    def _leads_on(self, link: os.DirEntry[str]) -> bool:
        """Whether a link is followed into a folder."""
        if not self.beneath.follow_links:
            return False
        try:
            return link.is_dir()
        except OSError:  # it leads to itself
            return False

    def _look(self, descriptor: int, folder: _Folder, entry: _Entry) -> Surveyed | _Folder | None:
        key = folder.key + entry.part
        if not (key.startswith(self.prefix) or self.prefix.startswith(key)):
            return None
        if entry.kind == "unspellable":
            try:
                key_part(entry.name)
            except ValueError as error:
                return _troubled(key, "NameUnspellable", f"{entry.name!r}: {error}")
        if entry.kind == "folder":
            return self._entered(folder, entry, key)
        if not key.startswith(self.prefix):
            return None
        try:
            if entry.kind == "link":
                return self._link(folder, entry, key)
            status = os.stat(entry.name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            return _troubled(key, "FileUnreadable", f"it cannot be looked at: {error.strerror}")
        return _of_kind(key, status)

    def _entered(self, folder: _Folder, entry: _Entry, key: str) -> _Folder | None:
        if self.may_enter is not None and not self.may_enter(key):
            return None
        return _Folder((*folder.parts, entry.name), key, folder.above)

    def _link(self, folder: _Folder, entry: _Entry, key: str) -> Surveyed | _Folder | None:
        name = key.rstrip("/")
        path = Path(self.beneath.root, *folder.parts, entry.name)
        try:
            status = path.stat()
        except OSError as error:
            if error.errno == errno.ELOOP:
                reason = "a symbolic link that leads to itself"
            elif error.errno in (errno.ENOENT, errno.ENOTDIR):
                reason = "a symbolic link that leads nowhere"
            else:
                reason = f"a symbolic link that cannot be followed: {error.strerror}"
            return _troubled(name, "LinkBroken", reason)
        target = local_place(path)
        if local_place(self.beneath.root).holds(target):
            return None
        if any(place.holds(target) for place in self.avoid):
            return _troubled(name, "LinkLeadsOut", "a symbolic link that leads into the archive")
        if not self.beneath.follow_links:
            return _troubled(
                name,
                "LinkLeadsOut",
                "a symbolic link that leads out of the collection: --follow-links follows it",
            )
        if stat.S_ISDIR(status.st_mode):
            return self._entered(folder, entry, f"{name}/")
        return _of_kind(key, status)


def _of_kind(key: str, status: os.stat_result) -> Surveyed:
    """A file as an object; of anything else, what it is. Reading that could wait for ever."""
    for is_kind, name in _NO_FILES:
        if is_kind(status.st_mode):
            return _troubled(key, "NotAFile", f"{name}, not a file")
    return Surveyed(described(key, status))


def _troubled(key: str, kind: TroubleKind, reason: str) -> Surveyed:
    return Surveyed(ObjectInfo(key=key, size=0, etag=""), Trouble(kind, reason))
