"""Packs: the LR files of a shard in one object, a plain tar file, in place of an object each.

`tar x` gives the very files that an archive without packs holds, under the same names. A row of the
catalog says at which byte its file begins, so that readers ask for those bytes and no others.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final
from urllib.parse import unquote_to_bytes

PREFIX: Final = "packs/"

EXTENSION: Final = ".tar"

MOST_BYTES: Final = 64 * 2**20
"""Of LR files in one pack, unless a single one is larger: what a worker collects before it writes
a pack, and what a reader of whole packs has in memory."""

BLOCK: Final = tarfile.BLOCKSIZE
"""Bytes that everything in a tar file is a multiple of. The header of a member fills one."""

_END: Final = bytes(2 * BLOCK)
"""What the last member of a whole tar file is followed by."""

_QUOTED: Final = re.compile("[%\\\\\x00-\x1f\x7f\ud800-\udfff\uef80-\uefff]")
"""Characters that file names cannot hold everywhere, or that stand for bytes that are no text."""

_EMPTY: Final = "%"
"""What stands in a member's name for a part of a key that has no characters."""


@dataclass(frozen=True, slots=True)
class Member:
    """One LR file in a pack."""

    lr_key: str
    offset: int
    """Of its first byte in the pack."""
    size: int
    """Bytes."""
    written: int = 0
    """When it was archived, in seconds since 1970; 0 where the pack was written with it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a pack in which no member can be recognised."""

    offset: int
    reason: str


def pack_key(target: str, digest: str) -> str:
    """Where a pack lies in an archive: immutable, since named by its own digest."""
    return f"{PREFIX}{target}/{digest[:32]}{EXTENSION}"


def member_name(lr_key: str) -> str:
    """What an LR file is called in a pack: its key, and no name that leads elsewhere.

    Parts that a file cannot be called are spelt with percent signs. No two keys have one name.
    """
    return "/".join(map(_spelt, lr_key.split("/")))


def lr_key_of(name: str) -> str:
    """The key of which `member_name` made a name; something else where it did not make it."""
    parts = ("" if part == _EMPTY else part for part in name.split("/"))
    return "/".join(unquote_to_bytes(part).decode("utf-8", "surrogatepass") for part in parts)


def packed(
    files: Iterable[tuple[str, bytes]], written: Mapping[str, int] | None = None
) -> tuple[bytes, dict[str, int]]:
    """Put LR files into a pack: the same files, the same bytes, whenever it is made.

    Args:
        files: Key and bytes of each, in order.
        written: Seconds since 1970 by key, of files that were archived before; see `Member`.

    Returns:
        The tar file, and at which of its bytes the file of each key begins.
    """
    buffer = io.BytesIO()
    offsets: dict[str, int] = {}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for lr_key, data in files:
            entry = tarfile.TarInfo(member_name(lr_key))
            entry.size = len(data)
            entry.mtime = (written or {}).get(lr_key, 0)
            tar.addfile(entry, io.BytesIO(data))
            offsets[lr_key] = buffer.tell() - _blocks(len(data))
    return buffer.getvalue(), offsets


def members_of(data: bytes) -> Iterator[Member | Gap]:
    """The LR files in a pack, and where it is damaged; what lies behind damage is found again.

    Whether a member is what its name says is not looked at.
    """
    expected = 0
    for entry in _entries(data):
        if entry.offset != expected:
            yield Gap(expected, f"no LR file can be recognised from there to byte {entry.offset}")
        expected = _end_of(entry)
        if entry.isreg():
            written = int(entry.mtime) if isfinite(entry.mtime) else 0
            yield Member(lr_key_of(entry.name), entry.offset_data, entry.size, written)
    if data[expected : expected + len(_END)] != _END:
        yield Gap(expected, f"it has {len(data)} bytes and no end: cut short, or damaged there")


def _entries(data: bytes) -> Iterator[tarfile.TarInfo]:
    """The entries of a tar file, each behind the one before it, whatever lies between them."""
    file, at = io.BytesIO(data), 0
    while at < len(data):
        file.seek(at)
        try:
            with tarfile.TarFile(fileobj=file, ignore_zeros=True) as tar:
                for entry in tar:
                    if entry.offset < at or entry.size < 0:  # it would lead round in a circle
                        break
                    yield entry
                    at = _end_of(entry)
                else:
                    return
        except (tarfile.TarError, ValueError):  # of a header that is no more than half there
            pass
        at += BLOCK


def _end_of(entry: tarfile.TarInfo) -> int:
    return entry.offset_data + _blocks(entry.size)


def is_header_of(block: bytes, size: int) -> bool:
    """Whether a block is a sound header of a file of so many bytes, for programs that unpack."""
    try:
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return entry.isreg() and entry.size == size


def bytes_in_pack(lr_key: str, size: int) -> int:
    """Bytes that an LR file takes in a pack, with its header.

    Args:
        lr_key: Its key.
        size: Its bytes.
    """
    name = member_name(lr_key)
    header = BLOCK
    if not name.isascii() or len(name) > tarfile.LENGTH_NAME:  # it has a header of several blocks
        header = len(tarfile.TarInfo(name).tobuf(tarfile.PAX_FORMAT))
    return header + _blocks(size)


def pack_size(content: int) -> int:
    """Size of the pack whose files take so many bytes, their headers included."""
    return -(-(content + len(_END)) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE


def _blocks(size: int) -> int:
    """Bytes that a file of so many bytes takes in a tar file, its header aside."""
    return -(-size // BLOCK) * BLOCK


def _spelt(part: str) -> str:
    if part in (".", ".."):
        return part.replace(".", "%2E")
    return _QUOTED.sub(_percent, part) or _EMPTY


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))
