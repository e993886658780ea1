"""What is looked at before a backfill starts anything."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.catalog import open_catalog
from tasks.plans.options import PlanOptions, build_plan
from tasks.settings import current
from tasks.storage import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `refold backfill` was asked for, as the flow takes it."""

    archive: str
    options: PlanOptions
    source: str | None = None


def check(request: Request) -> None:
    """Refuse a run that cannot work.

    Raises:
        UsageError: No archive there, a wrong target, or the source named is not there.
        StorageError: A store cannot be reached.
    """
    current()
    build_plan(request.options)
    open_catalog(open_store(request.archive), create=False)
    if request.source is not None:
        open_store(request.source).require_root()
