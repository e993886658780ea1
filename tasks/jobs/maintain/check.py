"""What is looked at before maintenance starts anything."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.catalog import open_catalog
from tasks.control.ages import parse_grace
from tasks.storage import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `refold maintain` was asked for, as the flow takes it."""

    archive: str
    grace: str


def check(request: Request) -> None:
    """Refuse a run that cannot work.

    Raises:
        UsageError: No archive there, or a grace period that is not an age or below an hour.
        StorageError: The store cannot be reached.
    """
    parse_grace(request.grace)
    open_catalog(open_store(request.archive), create=False)
