"""What is looked at before an archive run starts anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.collection.access import refuse_nested, require_collection
from tasks.collection.listing import EVERYTHING, Selection, check_globs
from tasks.plans.options import PlanOptions, build_plan
from tasks.settings import current
from tasks.storage import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `refold archive` was asked for, as the flow takes it."""

    source: str
    archive: str
    options: PlanOptions = field(default_factory=PlanOptions)
    selection: Selection = EVERYTHING


def check(request: Request) -> None:
    """Refuse a run that cannot work.

    Raises:
        UsageError: A wrong URL, plan, target or glob, or a source that does not exist.
        StorageError: A store cannot be reached.
    """
    current()
    build_plan(request.options)
    check_globs(request.selection.include, request.selection.exclude)
    source, archive = open_store(request.source), open_store(request.archive)
    refuse_nested(source, archive)
    require_collection(source, archive)
