"""What is looked at before a rebuild starts anything."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.storage import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `refold rebuild` was asked for, as the flow takes it."""

    archive: str


def check(request: Request) -> None:
    """Refuse a run that cannot work.

    Raises:
        UsageError: A wrong URL, or nothing there.
        StorageError: The store cannot be reached.
    """
    open_store(request.archive).require_root()
