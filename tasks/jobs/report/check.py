"""What is looked at before a report is made."""

from __future__ import annotations

from dataclasses import dataclass

from rescaling_core.errors import UsageError
from tasks.catalog import open_catalog
from tasks.jobs.report.choice import check_shown, choose_run
from tasks.storage import open_store
from tasks.storage.addresses import local_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What `refold report` was asked for, as the flow takes it."""

    archive: str
    run_id: str | None = None
    worst: int = 6
    output: str | None = None


def check(request: Request) -> None:
    """Refuse a report that cannot be made.

    Raises:
        UsageError: No archive there, no such run, too many restorations, or nowhere to write to.
        StorageError: The store cannot be reached.
    """
    check_shown(request.worst)
    if request.output is not None:
        path = local_path(request.output)
        if path is None:
            raise UsageError(f"--output {request.output}: a local file is meant, not a URL")
        if not path.absolute().parent.is_dir():
            raise UsageError(f"--output {request.output}: there is no folder {path.parent}")
    choose_run(open_catalog(open_store(request.archive), create=False).runs(), request.run_id)
