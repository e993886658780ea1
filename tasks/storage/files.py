"""What the system says of a file, as a store says it of an object."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Final

from tasks.storage.objects import ObjectInfo
from tasks.storage.versions import EXACT

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


def version_mark(status: os.stat_result) -> str:
    """The change mark of a file: see `versions`.

    The change time cannot be set by programs: what puts back the modification time after it wrote
    other bytes of the same number still changes the mark, and so does a file that takes the place
    of another.
    """
    bare = f"{status.st_mtime_ns:x}-{status.st_size:x}"
    return f"{bare}{EXACT}{status.st_ctime_ns:x}{EXACT}{status.st_ino:x}"


def modified_at(status: os.stat_result) -> datetime:
    """When a file was modified; times that no calendar has become the nearest one that it has."""
    try:
        return _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)
    except OverflowError:
        return _LATEST if status.st_mtime_ns > 0 else _EARLIEST


def described(key: str, status: os.stat_result) -> ObjectInfo:
    """A regular file as an object."""
    return ObjectInfo(
        key=key,
        size=status.st_size,
        etag=version_mark(status),
        modified=modified_at(status),
    )
