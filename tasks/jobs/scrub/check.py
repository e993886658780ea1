"""What is looked at before a scrub starts anything."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.catalog import open_catalog
from tasks.jobs.scrub.scope import Scope
from tasks.storage import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `refold scrub` was asked for, as the flow takes it."""

    archive: str
    sample: float
    parts: int
    repair_from: str | None = None


def check(request: Request) -> None:
    """Refuse a run that cannot work.

    Raises:
        UsageError: No archive there, a wrong fraction, or the source to repair from is not there.
        StorageError: A store cannot be reached.
    """
    Scope(sample=request.sample, parts=request.parts)
    open_catalog(open_store(request.archive), create=False)
    if request.repair_from is not None:
        open_store(request.repair_from).require_root()
