"""What tells a person how to restore an archive without this software: README.md, restore.py."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

from tasks.storage import ObjectNotFoundError, Store

NAMES: Final = ("README.md", "restore.py")
"""Where they lie, at the root of an archive."""

_VERSION: Final = re.compile(rb"[Vv]ersion (\d{1,6})\b")
"""In the first lines of both; raised when their text changes."""

_LOOKED_AT: Final = 200
"""Bytes."""


def keep_instructions(archive: Store) -> list[str]:
    """Write those that are not there, and those of an earlier version.

    A file that states no version is somebody's own and stays.

    Returns:
        The keys of what was written.

    Raises:
        StorageError: The store failed.
    """
    written = []
    for name in NAMES:
        text = (files("tasks.models") / "without_refold" / name).read_bytes()
        if archive.put_new(name, text):
            written.append(name)
            continue
        try:
            there = version_of(archive.get(name))
        except ObjectNotFoundError:
            continue
        if there is not None and there < (version_of(text) or 0):
            archive.put(name, text)
            written.append(name)
    return written


def version_of(text: bytes) -> int | None:
    """What the first lines say; None where they say none."""
    found = _VERSION.search(text[:_LOOKED_AT])
    return int(found[1]) if found else None
