"""When two change marks (etags) of an object mean the same version of it.

The mark of a file on a disk is `<mtime>-<size>+<ctime>+<inode>` in hexadecimal digits, times in
nanoseconds. Releases before 0.2 knew only the part before the first `+`. Marks of object stores
hold no `+` and are compared as they are.
"""

from __future__ import annotations

import re
from typing import Final

_OF_A_STORE: Final = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")
"""Of S3 and what speaks its protocol: a digest of the content, or of that of its parts."""

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


def may_be_copies(one: str, other: str) -> bool:
    """Whether two marks of the same bytes may differ since a store copied them.

    S3 gives a copy another etag where the original, or the copy, was written in parts or encrypted
    by a key management. A file on a disk keeps its time of modification.
    """
    if _OF_A_STORE.fullmatch(one) and _OF_A_STORE.fullmatch(other):
        return True
    return bare_mark(one) == bare_mark(other)
