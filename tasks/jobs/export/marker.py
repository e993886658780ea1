"""The file in a destination that says which export it holds, so that no two are mixed."""

from __future__ import annotations

import json
from typing import Any, Final

from rescaling_core.errors import UsageError
from tasks.jobs.export.check import Request
from tasks.storage import ObjectNotFoundError, Store

MARKER: Final = ".refold-export.json"


def begin(destination: Store, request: Request, digest: str) -> bool:
    """Claim a destination for an export.

    Args:
        destination: Where the export is written to.
        request: What is exported.
        digest: Of the images.

    Returns:
        Whether this export was begun there before, so that it is gone on with.

    Raises:
        UsageError: Something else lies there.
        StorageError: The store failed.
    """
    mine: dict[str, Any] = {"layout": request.layout, "size": request.size, "images": digest}
    if request.layout == "webdataset":
        mine["shard_mb"] = request.shard_mb
    text = json.dumps(mine, indent=1).encode()
    try:
        found = destination.get(MARKER)
    except ObjectNotFoundError:
        other = next(destination.list(), None)
        if other is not None:
            raise UsageError(
                f"{destination.url}: {other.key} lies there; choose a place that is empty"
            ) from None
        destination.put(MARKER, text)
        return False
    if found != text:
        raise UsageError(
            f"{destination.url} holds another export ({MARKER}): of other images, or of these as "
            "the archive held them before, or in another layout; choose a place that is empty"
        )
    return True
