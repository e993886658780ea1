"""One stored rendition, read, checked and restored: the one rule for every job."""

from __future__ import annotations

import hashlib

from rescaling_core.errors import RestorationMismatchError
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.photo import encode_photo
from rescaling_core.restore import restore, restore_source_file
from tasks.models.lookup import Models
from tasks.storage import Store

RESTORED_FORMAT = "PNG"


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


def restored_file(lr_data: bytes, models: Models, recorded: RestorationMetadata | None) -> bytes:
    """The source's own bytes where the LR file gives them back, else a PNG of the restoration.

    Raises:
        RefoldError: The restoration does not agree with what was recorded.
    """
    source_file = restore_source_file(lr_data, recorded=recorded)
    if source_file is not None:
        return source_file
    return encode_photo(restore(lr_data, models, recorded=recorded), format=RESTORED_FORMAT)
