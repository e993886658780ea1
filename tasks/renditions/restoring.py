"""One stored rendition, read, checked and restored: the one rule for every job."""

from __future__ import annotations

import hashlib

from rescaling_core import photo
from rescaling_core.errors import RestorationMismatchError
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.photo import RestoredFile
from rescaling_core.plan import DEFAULT_MAX_PIXELS
from rescaling_core.restore import restore, restore_source_file
from tasks.models.lookup import Models
from tasks.storage import Store


def read_lr_object(archive: Store, key: str, sha256: str) -> bytes:
    """The bytes of an LR object, if they are what the catalog says.

    Raises:
        ObjectNotFoundError: It is not there.
        RestorationMismatchError: It is another one.
    """
    lr_data = archive.get(key)
    if hashlib.sha256(lr_data).hexdigest() != sha256:
        raise RestorationMismatchError(f"{key}: its bytes are not those that were archived")
    return lr_data


def restored_file(
    lr_data: bytes,
    models: Models,
    recorded: RestorationMetadata | None,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> RestoredFile:
    """The source's own bytes where the LR file gives them back, else a PNG of the restoration.

    What the source held and a PNG has no place for comes with it, as a zip.

    Raises:
        RefoldError: The restoration does not agree with what was recorded.
    """
    source_file = restore_source_file(lr_data, recorded=recorded, max_pixels=max_pixels)
    if source_file is not None:
        return RestoredFile(data=source_file, extension="")
    restored = restore(lr_data, models, recorded=recorded, max_pixels=max_pixels)
    return photo.restored_file(restored)
