"""Keeping the tables of a catalog small: fewer, larger files, and none that no version needs."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from tasks.catalog.delta import CatalogTable
from tasks.catalog.schema import RENDITIONS, RUNS
from tasks.catalog.table import RENDITIONS_PREFIX, RUNS_PREFIX

if TYPE_CHECKING:
    from datetime import timedelta

    from deltalake import CommitProperties, DeltaTable

    from tasks.storage import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """What was done to the tables of a catalog."""

    files_before: int
    """That the newest versions of the tables are made of."""
    files_after: int
    files_removed: int
    """Of earlier versions, and of commits that were given up."""


def keep_up(archive: Store, grace: timedelta, *, dry_run: bool = False) -> Upkeep:
    """Compact the tables and remove the files that no version within the grace period needs.

    Args:
        archive: The archive.
        grace: For how long a version can still be read after it was replaced.
        dry_run: Only count what would be removed; nothing is compacted.

    Raises:
        StorageError: The store failed, or other writers were always faster.
    """
    tables = [
        CatalogTable(archive, RENDITIONS_PREFIX, RENDITIONS),
        CatalogTable(archive, RUNS_PREFIX, RUNS),
    ]
    before = sum(_count(table) for table in tables)
    if not dry_run:
        for table in tables:
            table.commit(_compact, "maintain")
    hours = ceil(grace.total_seconds() / 3600)
    removed = sum(
        len(
            table.current().vacuum(
                retention_hours=hours, dry_run=dry_run, enforce_retention_duration=False
            )
        )
        for table in tables
    )
    return Upkeep(
        files_before=before,
        files_after=sum(_count(table) for table in tables),
        files_removed=removed,
    )


def _compact(table: DeltaTable, properties: CommitProperties) -> bool:
    metrics: dict[str, Any] = table.optimize.compact(commit_properties=properties)
    return bool(metrics["numFilesAdded"])


def _count(table: CatalogTable) -> int:
    return len(table.current().file_uris())
