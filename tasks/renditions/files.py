"""The bytes of LR files, as they lie in an archive: objects of their own, or parts of packs.

Whoever reads one reads it here.
"""

from __future__ import annotations

import hashlib

from rescaling_core.errors import RestorationMismatchError
from tasks.catalog.place import LrPlace
from tasks.renditions.packs import BLOCK
from tasks.storage import Store


def stored_lr(archive: Store, place: LrPlace) -> bytes:
    """What lies at a place, whatever it is; for those who look whether it is what it should be.

    Raises:
        ObjectNotFoundError: There is no such object.
        StorageError: The store failed.
    """
    if place.pack_key is None:
        return archive.get(place.lr_key)
    _, data = stored_member(archive, place.pack_key, place)
    return data


def stored_member(archive: Store, pack: str, place: LrPlace) -> tuple[bytes, bytes]:
    """What lies before an LR file in its pack, where a header should be, and in its place.

    Args:
        archive: It lies in.
        pack: Key of the pack.
        place: Of the LR file.

    Raises:
        ObjectNotFoundError: There is no such pack.
        StorageError: The store failed.
    """
    start = place.pack_offset
    if start is None or start < BLOCK or place.lr_bytes < 1:  # of a damaged row
        return b"", b""
    found = archive.get_range(pack, start - BLOCK, BLOCK + place.lr_bytes)
    return found[:BLOCK], found[BLOCK:]


def read_lr(archive: Store, place: LrPlace) -> bytes:
    """The LR file that was archived.

    Raises:
        ObjectNotFoundError: There is no such object.
        RestorationMismatchError: Its bytes are not those that were archived.
        StorageError: The store failed.
    """
    data = stored_lr(archive, place)
    if hashlib.sha256(data).hexdigest() != place.lr_sha256:
        raise RestorationMismatchError(f"{place.name}: its bytes are not those that were archived")
    return data
