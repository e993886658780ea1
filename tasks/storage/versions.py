"""When two change marks (etags) of an object mean the same version of it.

The mark of a file on a disk is `<mtime>-<size>+<ctime>+<inode>` in hexadecimal digits, times in
nanoseconds. Releases before 0.2 knew only the part before the first `+`. Marks of object stores
hold no `+` and are compared as they are.
"""

from __future__ import annotations

from typing import Final

EXACT: Final = "+"
"""What parts the bare mark (time of modification and size) from what only newer marks hold."""


def bare_mark(etag: str) -> str:
    """What a mark says of modification time and size alone; the whole mark of an object store."""
    return etag.partition(EXACT)[0]


def is_bare(etag: str) -> bool:
    """Whether a mark says nothing of inode and change time."""
    return EXACT not in etag


def same_version(one: str, other: str) -> bool:
    """Whether two marks of one key are of one version, as far as both of them say.

    A bare mark, which an earlier release recorded, is compared by the rule of that release: time
    of modification and size decide. Two full marks must be equal.
    """
    if is_bare(one) or is_bare(other):
        return bare_mark(one) == bare_mark(other)
    return one == other
