"""Where a store really lies, whatever its URL looks like: to tell what is one place, or inside it.

Texts of URLs do not tell: a folder has many paths (links, `..`, `file://`, bind mounts), a prefix
has several URLs (`s3://`, `s3a://`, with and without a slash at the end).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A prefix of keys in a space of keys."""

    space: tuple[str, ...]
    """Such as kind, endpoint and bucket. Places in different spaces have nothing in common."""
    prefix: str
    """Empty, or ending in a slash."""
    name: str
    """A text that is the same however the place is written, to be recorded."""

    def holds(self, other: Place) -> bool:
        """Whether the other place is this one, or lies inside it."""
        return self.space == other.space and other.prefix.startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class LocalPlace(Place):
    """A folder, which need not exist yet."""

    above: tuple[tuple[int, int], ...] = ()
    """(device, inode) of the folder itself, if it exists, and of all folders above it that do,
    from the root of the file system down."""
    rest: tuple[str, ...] = ()
    """The names below the last of these that do not exist yet."""

    def holds(self, other: Place) -> bool:
        """Whether the other folder is this one, or lies inside it, by device and inode."""
        if not isinstance(other, LocalPlace) or not self.above:
            return False
        if not self.rest:
            return self.above[-1] in other.above
        same_ground = other.above[-1:] == self.above[-1:]
        return same_ground and other.rest[: len(self.rest)] == self.rest


def local_place(path: Path) -> LocalPlace:
    """The place of a folder or file, as it is now; links in its path are resolved."""
    real = os.path.realpath(path)
    above: list[tuple[int, int]] = []
    rest: list[str] = []
    whole = Path(real)
    for folder in (*reversed(whole.parents), whole):
        try:
            status = folder.stat()
        except OSError:
            rest.append(folder.name)
        else:
            above.append((status.st_dev, status.st_ino))
            rest.clear()
    prefix = real.rstrip("/") + "/"
    return LocalPlace(("file",), prefix, real, tuple(above), tuple(rest))
