"""The bytes of LR files, as they lie in an archive. Whoever reads one reads it here."""

from __future__ import annotations

import hashlib

from rescaling_core.errors import RestorationMismatchError
from tasks.catalog.place import LrPlace
from tasks.storage import Store


def stored_lr(archive: Store, place: LrPlace) -> bytes:
    """What lies at a place, whatever it is; for those who look whether it is what it should be.

    Raises:
        ObjectNotFoundError: There is no such object.
        StorageError: The store failed.
    """
    return archive.get(place.lr_key)


def read_lr(archive: Store, place: LrPlace) -> bytes:
    """The LR file that was archived.

    Raises:
        ObjectNotFoundError: There is no such object.
        RestorationMismatchError: Its bytes are not those that were archived.
        StorageError: The store failed.
    """
    data = stored_lr(archive, place)
    if hashlib.sha256(data).hexdigest() != place.lr_sha256:
        raise RestorationMismatchError(
            f"{place.lr_key}: its bytes are not those that were archived"
        )
    return data
