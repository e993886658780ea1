"""Writing packs again: LR files that rows name are put into another pack, others left behind.

A file is put there only if it is what its row says; one that is not stays where it is, and is
named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc

from tasks.catalog.place import LrPlace, Move
from tasks.catalog.query import any_of
from tasks.renditions.packs import bytes_in_pack
from tasks.renditions.rewrites import PackUse, Rewrite
from tasks.renditions.writing import put_pack
from tasks.storage import ObjectNotFoundError, ObjectUnreadableError

if TYPE_CHECKING:
    from tasks.catalog import Catalog
    from tasks.storage import Store

READERS: Final = 4
"""Packs that are read at once, each of them whole."""

_USED: Final = ("source_key", "target", "lr_key", "lr_bytes", "pack_key")

_MOVED: Final = (*_USED, "lr_sha256", "pack_offset", "committed_at")


@dataclass(frozen=True, slots=True)
class PackedFile:
    """An LR file in a pack, as its row has it."""

    source_key: str
    target: str
    place: LrPlace
    archived: datetime
    """When its row was committed."""


@dataclass(frozen=True, slots=True)
class StaysInPack:
    """An LR file that is not what its row says, so that it stays in its old pack."""

    source_key: str
    target: str
    lr_key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Repacked:
    """What came of a rewrite, before any row says so."""

    moves: tuple[Move, ...] = ()
    """Of the files that lie in the new pack; empty where none was written."""
    stay: tuple[StaysInPack, ...] = ()
    moved: int = 0
    """Bytes that the files take in the new pack, with their headers."""
    kept: frozenset[str] = frozenset()
    """Keys of the packs in which a file stays."""

    @property
    def emptied(self) -> tuple[str, ...]:
        """Keys of the packs that something was moved out of."""
        return tuple(sorted({one.old_pack for one in self.moves}))


def packs_in_use(catalog: Catalog, sizes: Mapping[str, int]) -> list[PackUse]:
    """What of each pack the rows of a catalog name.

    Args:
        catalog: Of the archive.
        sizes: Bytes of each pack that lies there, by its key. Others that rows name are missing,
            which is for `scrub` to find.

    Raises:
        StorageError: The catalog cannot be read.
    """
    found: dict[str, PackUse] = {}
    for batch in catalog.batches(columns=_USED):
        named = batch.filter(pc.is_valid(batch.column("pack_key")))
        for source, target, lr_key, nbytes, key in zip(
            *(named.column(name).to_pylist() for name in _USED), strict=True
        ):
            if key not in sizes:
                continue
            known, needed = found.get(key), bytes_in_pack(lr_key or "", nbytes or 0)
            found[key] = PackUse(
                key=key,
                target=target,
                size=sizes[key],
                needed=needed + (known.needed if known else 0),
                first=known.first if known else source,  # rows come by source key
                last=source,
            )
    return list(found.values())


def files_of(catalog: Catalog, rewrite: Rewrite) -> list[PackedFile]:
    """The LR files that rows name in the packs of a rewrite.

    Raises:
        StorageError: The catalog cannot be read.
    """
    keys = any_of("pack_key", [one.key for one in rewrite.packs])
    batches = catalog.batches(keys, between=rewrite.between, columns=_MOVED)
    return [_file(values) for batch in batches for values in batch.to_pylist()]


def repack(archive: Store, target: str, files: Iterable[PackedFile]) -> Repacked:
    """Put LR files into one new pack, and read that back. Their old packs stay as they are.

    Args:
        archive: They lie in.
        target: Of all of them.
        files: From one pack or several.

    Raises:
        RefoldError: The store does not give back what was written.
        StorageError: The store failed.
    """
    by_pack: dict[str, list[PackedFile]] = {}
    for one in files:
        by_pack.setdefault(one.place.pack_key or "", []).append(one)
    with ThreadPoolExecutor(READERS) as readers:
        parts = list(readers.map(partial(_sound, archive), by_pack.items()))
    sound = sorted((one for part, _ in parts for one in part), key=lambda one: one[0].place.lr_key)
    stay = tuple(one for _, part in parts for one in part)
    kept = frozenset(key for key, (_, part) in zip(by_pack, parts, strict=True) if part)
    if not sound:
        return Repacked(stay=stay, kept=kept)
    times = {file.place.lr_key: int(file.archived.timestamp()) for file, _ in sound}
    contents = [(file.place.lr_key, data) for file, data in sound]
    key, offsets = put_pack(archive, target, contents, times, verify=True)
    moves = (
        Move(
            source_key=file.source_key,
            target=file.target,
            lr_key=file.place.lr_key,
            old_pack=file.place.pack_key or "",
            pack_key=key,
            pack_offset=offsets[file.place.lr_key],
        )
        for file, _ in sound
    )
    moved = sum(bytes_in_pack(lr_key, len(data)) for lr_key, data in contents)
    return Repacked(tuple(moves), stay, moved, kept)


def _sound(
    archive: Store, part: tuple[str, Sequence[PackedFile]]
) -> tuple[list[tuple[PackedFile, bytes]], list[StaysInPack]]:
    """The files of one pack with their bytes, and those that are not what their rows say."""
    key, files = part
    try:
        data = archive.get(key)
    except (ObjectNotFoundError, ObjectUnreadableError) as error:
        return [], [_stays(file, str(error)) for file in files]
    sound, stay = [], []
    for file in files:
        start = file.place.pack_offset or 0
        found = data[start : start + file.place.lr_bytes]
        if hashlib.sha256(found).hexdigest() != file.place.lr_sha256:
            stay.append(_stays(file, f"its bytes in {key} are not those that were archived"))
        else:
            sound.append((file, found))
    return sound, stay


def _stays(file: PackedFile, reason: str) -> StaysInPack:
    return StaysInPack(file.source_key, file.target, file.place.lr_key, reason)


def _file(values: Mapping[str, Any]) -> PackedFile:
    place = LrPlace(**{one.name: values[one.name] for one in fields(LrPlace)})
    return PackedFile(values["source_key"], values["target"], place, values["committed_at"])
