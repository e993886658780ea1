"""Uploads in parts that were begun and not completed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any


def unfinished_uploads(
    call: Callable[..., Any], root: str, before: datetime
) -> Iterator[dict[str, str]]:
    """Yield Key and UploadId of those that were begun before a time.

    Args:
        call: Sends a request: the operation's name and its arguments.
        root: What their keys begin with.
        before: What was begun later is passed over.
    """
    place: dict[str, str] = {}
    while True:
        page = call("list_multipart_uploads", Prefix=root, **place)
        for upload in page.get("Uploads", ()):
            if upload["Initiated"] < before:
                yield {"Key": upload["Key"], "UploadId": upload["UploadId"]}
        if not page.get("IsTruncated"):
            return
        place = {
            "KeyMarker": page.get("NextKeyMarker", ""),
            "UploadIdMarker": page.get("NextUploadIdMarker", ""),
        }
