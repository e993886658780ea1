"""Putting LR files into an archive, under the names that their content asks for."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from rescaling_core.errors import RefoldError
from tasks.catalog import Archived, CatalogRow
from tasks.catalog.place import LrPlace
from tasks.renditions.layout import rendition_key
from tasks.renditions.packs import MOST_BYTES, pack_key, packed

if TYPE_CHECKING:
    from rescaling_core.convert import Rendition
    from rescaling_core.plan import ArchivePlan
    from tasks.storage import Store


def put_rendition(
    archive: Store, source_key: str, rendition: Rendition, *, replace: bool = False
) -> LrPlace:
    """Store an LR file as an object of its own, under its digest.

    Args:
        archive: Where to.
        source_key: Of what it was made from.
        rendition: Made, restored and measured.
        replace: Write it even if an object of this name is known to be there: a damaged one.

    Raises:
        UnstorableKeyError: The store cannot hold an object of this name.
        StorageError: The store failed.
    """
    place = _place_of(source_key, rendition)
    _put(archive, place.lr_key, rendition.lr_data, replace=replace)
    return place


def put_pack(
    archive: Store,
    target: str,
    files: Iterable[tuple[str, bytes]],
    written: Mapping[str, int] | None = None,
    *,
    verify: bool = False,
) -> tuple[str, dict[str, int]]:
    """Store LR files as a pack, under its digest.

    Args:
        archive: Where to.
        target: Of the files.
        files: Key and bytes of each, in the order of keys.
        written: See `packed`.
        verify: Whether to read it back, where the files are not to be had elsewhere for long.

    Returns:
        Key of the pack, and at which of its bytes the file of each key begins.

    Raises:
        RefoldError: The store does not give back what was written.
        StorageError: The store failed.
    """
    data, offsets = packed(files, written)
    key = pack_key(target, hashlib.sha256(data).hexdigest())
    _put(archive, key, data)
    if verify and archive.get(key) != data:
        raise RefoldError(f"{archive.url}: {key}: the store does not give back what was written")
    return key, offsets


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An LR file that is to be put into a pack."""

    place: LrPlace
    data: bytes


@dataclass(slots=True)
class _Batch:
    """The LR files of one target that are to be put into the next pack."""

    files: list[_Waiting] = field(default_factory=list)
    nbytes: int = 0
    """Of all of them together."""

    def add(self, one: _Waiting) -> None:
        self.files.append(one)
        self.nbytes += len(one.data)


class ShardFiles:
    """Stores the LR files of one shard: each as an object, or in packs, as its target's plan says.

    Safe to use from several threads.
    """

    def __init__(self, archive: Store, plan: ArchivePlan, *, most: int = MOST_BYTES) -> None:
        """Nothing is written yet.

        Args:
            archive: Where to.
            plan: Says of each target how its files are stored.
            most: Bytes of LR files in a pack, unless a single one is larger.
        """
        self._archive, self._most = archive, most
        self._packed = {one.target.name for one in plan.targets if one.store == "packs"}
        self._waiting: dict[str, _Batch] = {}
        self._places: dict[str, LrPlace] = {}
        """Of what lies in a pack that was written, by LR key."""
        self._lock = Lock()

    def put(self, source_key: str, rendition: Rendition) -> LrPlace:
        """Store an LR file, or keep it until a pack is full or the shard is done.

        Returns:
            Its place; if it is to be in a pack, `placed` says later in which.

        Raises:
            UnstorableKeyError: The store cannot hold an object of this name.
            StorageError: The store failed.
        """
        target = rendition.target.name
        if target not in self._packed:
            return put_rendition(self._archive, source_key, rendition)
        one = _Waiting(_place_of(source_key, rendition), rendition.lr_data)
        full: list[_Waiting] = []
        with self._lock:
            batch = self._waiting.setdefault(target, _Batch())
            if batch.files and batch.nbytes + len(one.data) > self._most:
                full = batch.files
                batch = self._waiting[target] = _Batch()
            batch.add(one)
        self._write(target, full)
        return one.place

    def placed(self, rows: Iterable[CatalogRow]) -> tuple[CatalogRow, ...]:
        """Write what is still in memory, as far as rows name it.

        Args:
            rows: All of the shard, with the places that `put` gave.

        Returns:
            The rows, each with the place where its LR file lies now.

        Raises:
            StorageError: The store failed: none of the rows may be committed.
        """
        rows = tuple(rows)
        named = {row.lr_key for row in rows if isinstance(row, Archived)}
        for target, batch in self._waiting.items():
            self._write(target, [one for one in batch.files if one.place.lr_key in named])
        self._waiting.clear()
        return tuple(map(self._placed, rows))

    def _placed(self, row: CatalogRow) -> CatalogRow:
        if not isinstance(row, Archived) or row.lr_key not in self._places:
            return row
        place = self._places[row.lr_key]
        return dataclasses.replace(row, pack_key=place.pack_key, pack_offset=place.pack_offset)

    def _write(self, target: str, files: Sequence[_Waiting]) -> None:
        if not files:
            return
        ordered = sorted(files, key=lambda one: one.place.lr_key)
        key, offsets = put_pack(
            self._archive, target, [(one.place.lr_key, one.data) for one in ordered]
        )
        for one in ordered:
            self._places[one.place.lr_key] = dataclasses.replace(
                one.place, pack_key=key, pack_offset=offsets[one.place.lr_key]
            )


def _place_of(source_key: str, rendition: Rendition) -> LrPlace:
    digest = hashlib.sha256(rendition.lr_data).hexdigest()
    key = rendition_key(rendition.target.name, source_key, digest, rendition.extension)
    return LrPlace(lr_key=key, lr_bytes=len(rendition.lr_data), lr_sha256=digest)


def _put(archive: Store, key: str, data: bytes, *, replace: bool = False) -> None:
    if replace or not archive.put_new(key, data):
        # A killed run may have left the object. Writing it again restarts its age, so that
        # `maintain` does not delete it before its row is committed.
        archive.put(key, data)
