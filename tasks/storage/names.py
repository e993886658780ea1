"""File names as parts of keys, and back.

Keys that no path can spell (an empty, `.` or `..` part, a part over 255 bytes) are refused. File
names that are not UTF-8 get keys all the same: byte 0xNN becomes the private-use character U+EFNN,
and back.
"""

from __future__ import annotations

import os
from typing import Final

MAX_PART_BYTES: Final = 255
"""Longest file name on the usual file systems."""

MAX_PATH_BYTES: Final = 4095
"""Longest path that programs can give to Linux at once."""

_UNDECODED: Final = {0xDC00 + byte: 0xEF00 + byte for byte in range(0x80, 0x100)}
"""From Python's stand-ins for undecodable bytes (PEP 383) to characters every system carries."""
_ENCODED: Final = {private: surrogate for surrogate, private in _UNDECODED.items()}


def path_of(key: str) -> str:
    """The path of a key's file below the root.

    Raises:
        ValueError: No file can have this key; the message says why.
    """
    path = key.translate(_ENCODED)
    if not (_is_utf8(key) and os.fsdecode(os.fsencode(path)) == path):
        raise ValueError("it is not UTF-8")
    for part in path.split("/"):
        if reason := _unstorable(part):
            raise ValueError(reason)
    return path


def key_part(name: str) -> str:
    """A file name as a part of a key.

    Raises:
        ValueError: The name holds characters that stand for undecodable bytes in keys.
    """
    if name.isascii():
        return name
    if any(ord(letter) in _ENCODED for letter in name):
        raise ValueError(
            "its name holds characters U+EF80 to U+EFFF, which stand for undecodable bytes here; "
            "rename it"
        )
    return name.translate(_UNDECODED)


def escaped(name: str) -> str:
    """A name that cannot be a part of a key, so that it can be reported all the same."""
    return "".join(
        f"\\u{ord(letter):04x}" if ord(letter) in _ENCODED else letter for letter in name
    ).translate(_UNDECODED)


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
