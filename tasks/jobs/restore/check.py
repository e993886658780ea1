"""What is looked at before a restoration starts anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from rescaling_core.codecs import CodecSpec, check_available
from rescaling_core.errors import UsageError
from rescaling_core.photo import RestoredFormat
from rescaling_core.plan import Target
from tasks.catalog import open_catalog
from tasks.storage import open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `refold restore` was asked for, as the flow takes it."""

    archive: str
    dest: str
    keys: tuple[str, ...] = ()
    where: str | None = None
    target: str | None = None
    format: str = "png"


def restored_format(text: str) -> RestoredFormat:
    """What restored files are written as.

    Raises:
        UsageError: There is no such format, or it cannot be written here.
    """
    known: tuple[RestoredFormat, ...] = get_args(RestoredFormat)
    for format in known:
        if format == text:
            if format == "jxl":
                check_available(CodecSpec.parse("jxl-lossless"))
            return format
    raise UsageError(f"format {text!r}: one of {', '.join(known)}")


def check(request: Request) -> None:
    """Refuse a run that cannot work.

    Raises:
        UsageError: No archive there, a wrong URL, format or condition, a preview as target.
        StorageError: The archive's store cannot be reached.
    """
    if request.target is not None and Target.parse(request.target).preview_only:
        raise UsageError(f"target {request.target}: a preview, which nothing can be restored from")
    restored_format(request.format)
    open_store(request.dest)
    catalog = open_catalog(open_store(request.archive), create=False)
    if request.where is not None:
        catalog.check_condition(request.where)
