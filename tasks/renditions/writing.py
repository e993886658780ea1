"""Putting an LR file into an archive, under the name that its content asks for."""

from __future__ import annotations

import hashlib

from rescaling_core.convert import Rendition
from tasks.catalog.place import LrPlace
from tasks.renditions.layout import rendition_key
from tasks.storage import Store


def put_rendition(
    archive: Store, source_key: str, rendition: Rendition, *, replace: bool = False
) -> LrPlace:
    """Store an LR file under its digest.

    Args:
        archive: Where to.
        source_key: Of what it was made from.
        rendition: Made, restored and measured.
        replace: Write it even if an object of this name is known to be there: a damaged one.

    Raises:
        UnstorableKeyError: The store cannot hold an object of this name.
        StorageError: The store failed.
    """
    data = rendition.lr_data
    digest = hashlib.sha256(data).hexdigest()
    key = rendition_key(rendition.target.name, source_key, digest, rendition.extension)
    if replace or not archive.put_new(key, data):
        # A killed run may have left the object. Writing it again restarts its age, so that
        # `maintain` does not delete it before its row is committed.
        archive.put(key, data)
    return LrPlace(lr_key=key, lr_bytes=len(data), lr_sha256=digest)
