"""Object Lock of S3: what it says of the locks of objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.storage.locks import Lock


def lock_of(head: Mapping[str, Any]) -> Lock | None:
    """What keeps an object, by what the store says of it to those who may know."""
    lock = Lock(
        until=head.get("ObjectLockRetainUntilDate"),
        mode=head.get("ObjectLockMode"),
        held=head.get("ObjectLockLegalHoldStatus") == "ON",
    )
    return None if lock == Lock() else lock
