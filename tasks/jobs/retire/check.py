"""What is looked at before a retirement starts anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rescaling_core.errors import UsageError
from rescaling_core.plan import Floor
from tasks.catalog import open_catalog
from tasks.collection.access import refuse_nested, require_collection
from tasks.collection.listing import EVERYTHING, Selection, check_globs
from tasks.control.ages import parse_age, parse_grace
from tasks.storage import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `refold retire` was asked for, as the flow takes it."""

    source: str
    archive: str
    older_than: str
    grace: str
    floor: tuple[str, ...] = ()
    selection: Selection = EVERYTHING
    to_class: str | None = None


CLASSES: Final = (
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
)
"""Storage classes that sources can be moved to."""


def check(request: Request) -> None:
    """Refuse a run that cannot work.

    Raises:
        UsageError: A wrong URL, age, floor, glob or class; no archive or no collection there.
        StorageError: A store cannot be reached.
    """
    parse_age(request.older_than)
    parse_grace(request.grace)
    Floor.parse(request.floor)
    check_globs(request.selection.include, request.selection.exclude)
    source, archive = open_store(request.source), open_store(request.archive)
    if request.to_class is not None:
        if request.to_class not in CLASSES:
            raise UsageError(f"--to-class {request.to_class}: one of {', '.join(CLASSES)}")
        if not source.has_classes:
            raise UsageError(
                f"--to-class {request.to_class}: {source.url} has no storage classes; those of S3 "
                "can be moved to"
            )
    open_catalog(archive, create=False)
    refuse_nested(source, archive)
    require_collection(source, archive)
