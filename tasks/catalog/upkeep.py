"""Keeping the tables of a catalog small: fewer, larger files, and none that no version needs."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from deltalake.exceptions import DeltaError

from tasks.catalog.causes import reason_of
from tasks.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from tasks.catalog.delta import CatalogTable
    from tasks.catalog.table import Catalog


COMPACTED_AT_ONCE: Final = 1000
"""Commits that one clean-up makes to compact a table, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """What was done to the tables of a catalog."""

    files_before: int
    """That the newest versions of the tables are made of."""
    files_after: int
    files_removed: int
    """Of earlier versions, and of commits that were given up."""


def keep_up(
    catalog: Catalog,
    grace: timedelta,
    *,
    dry_run: bool = False,
    may_delete: bool = True,
    removed: Callable[[str], None] | None = None,
) -> Upkeep:
    """Compact the tables and remove the files that no version within the grace period needs.

    Args:
        catalog: The catalog.
        grace: For how long a version can still be read after it was replaced.
        dry_run: Only count what would be removed; nothing is compacted.
        may_delete: Else what would be removed is only counted; the tables are compacted.
        removed: Called with the URL of each file that was removed.

    Raises:
        StorageError: The store failed, or other writers were always faster.
    """
    tables = catalog.tables
    for table in tables:
        table.refuse_links()
    before = sum(_count(table) for table in tables)
    if not dry_run:
        for table in tables:
            table.compact(at_once=COMPACTED_AT_ONCE)
    hours = ceil(grace.total_seconds() / 3600)
    try:
        gone = [
            f"{table.uri}/{file}"
            for table in tables
            for file in table.current().vacuum(
                retention_hours=hours,
                dry_run=dry_run or not may_delete,
                enforce_retention_duration=False,
                full=True,  # else those of commits that were given up would stay for ever
            )
        ]
    except (DeltaError, OSError) as error:
        message = f"cannot vacuum the catalog: {reason_of(error)}"
        raise StorageError(message, retryable=True) from error
    if removed is not None and may_delete and not dry_run:
        for url in gone:
            removed(url)
    return Upkeep(
        files_before=before,
        files_after=sum(_count(table) for table in tables),
        files_removed=len(gone),
    )


def _count(table: CatalogTable) -> int:
    return len(table.current().file_uris())
