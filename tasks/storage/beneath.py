"""Opening what lies below a folder, part by part, without following a link on the way.

A received archive may hold links to places that are not its own. Every path below a root is
therefore walked with descriptors (`openat`), never given to the system as a whole: a link that is
put in the way between two looks is not followed either. The root itself may be a link.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PASSING: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
"""To pass through a folder: no permission to list it is needed, where the system can do so."""
_LISTING: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READING: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Opening a pipe does not wait for somebody who writes to it."""

_ATTEMPTS: Final = 3
"""At making a folder, while a deletion beside us removes it again since it is empty."""


class LinkInTheWayError(OSError):
    """A symbolic link where a folder or file should be, and links are not followed."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.ELOOP, f"{path} is a symbolic link, and links are not followed")


@dataclass(frozen=True, slots=True)
class Beneath:
    """What lies below a root."""

    root: Path
    follow_links: bool = False
    """Whether links below the root are followed, wherever they lead."""

    @contextmanager
    def folder(self, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """A descriptor of a folder, for use with `dir_fd`.

        Args:
            parts: Names of folders from the root down; empty for the root.
            create: Make those that are not there, the root too.

        Raises:
            LinkInTheWayError: One of them is a link.
            OSError: It is not there, not a folder, or must not be opened.
        """
        if create:
            self.root.mkdir(parents=True, exist_ok=True)
        here = os.open(self.root, _PASSING)
        try:
            for depth, part in enumerate(parts, 1):
                below = self._enter(here, parts[:depth], part, create=create)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)

    @contextmanager
    def listed_folder(self, parts: Sequence[str]) -> Iterator[int]:
        """As `folder`, with a descriptor that `os.scandir` takes."""
        with self.folder(parts) as passing:
            listing = os.open(".", _LISTING, dir_fd=passing)
            try:
                yield listing
            finally:
                os.close(listing)

    @contextmanager
    def file(self, path: str) -> Iterator[int]:
        """A descriptor of a file that is open for reading.

        Raises:
            LinkInTheWayError: A part of the path is a link.
            FileNotFoundError: There is no such file, or something that is not a regular file.
            OSError: It must not be opened.
        """
        *folders, name = path.split("/")
        with self.folder(folders) as parent:
            flags = _READING if self.follow_links else _READING | os.O_NOFOLLOW
            try:
                descriptor = os.open(name, flags, dir_fd=parent)
            except OSError as error:
                raise _explained(error, parent, name, path) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileNotFoundError(errno.ENOENT, "not a regular file")
            yield descriptor
        finally:
            os.close(descriptor)

    def status(self, path: str) -> os.stat_result:
        """What the system says of a file.

        Raises:
            LinkInTheWayError: A part of the path is a link.
            OSError: It is not there, or must not be looked at.
        """
        *folders, name = path.split("/")
        with self.folder(folders) as parent:
            status = os.stat(name, dir_fd=parent, follow_symlinks=self.follow_links)
        if stat.S_ISLNK(status.st_mode):
            raise LinkInTheWayError(path)
        return status

    def _enter(self, here: int, path: Sequence[str], part: str, *, create: bool) -> int:
        flags = _PASSING if self.follow_links else _PASSING | os.O_NOFOLLOW
        for _ in range(_ATTEMPTS if create else 1):
            try:
                return os.open(part, flags, dir_fd=here)
            except FileNotFoundError:
                if not create:
                    raise
            except OSError as error:
                raise _explained(error, here, part, "/".join(path)) from error
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=here)
        return os.open(part, flags, dir_fd=here)


def _explained(error: OSError, parent: int, name: str, path: str) -> OSError:
    """The error, or that a link is the reason for it."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
        with suppress(OSError):
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                return LinkInTheWayError(path)
    return error
