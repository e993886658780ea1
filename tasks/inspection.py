"""Whether a stored rendition is what the catalog says it is. What a worker of `scrub` does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Literal

from rescaling_core.errors import MetadataError, RefoldError
from rescaling_core.metadata import RestorationMetadata, read_metadata
from rescaling_core.restore import restore, restore_source_file
from tasks.catalog import CatalogRow
from tasks.models import load_model, use_share_of_cpus
from tasks.rows import described
from tasks.storage import ObjectNotFoundError, Store, open_store

READERS = 8
"""LR objects a worker reads at once."""

_LATER: Final = ("ssimulacra2", "refinement", "origin")
"""Columns that the first catalogs lack."""

Problem = Literal["missing", "size", "digest", "metadata", "restoration", "catalog"]
"""In the order they are looked for; the first that is found is reported."""


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the catalog to hold against what is stored."""

    row: CatalogRow
    """Archived."""
    restore: bool = False
    """Whether to restore it too, unless it is a preview."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rendition that is not what the catalog says."""

    source_key: str
    target: str
    lr_key: str
    problem: Problem
    reason: str


class Inspector:
    """Holds the archive and the networks for the life of a worker process."""

    def __init__(self, archive_url: str) -> None:
        self._archive = open_store(archive_url)
        use_share_of_cpus()

    def inspect(self, checks: Sequence[Check]) -> list[Finding]:
        """Check some renditions; give back those that are not as they should be.

        Raises:
            StorageError: The store failed, so that nothing is known of them.
        """
        with ThreadPoolExecutor(max_workers=READERS) as pool:
            found = [item for item in pool.map(self._stored, checks) if item is not None]
        damaged = {item.lr_key for item in found}
        for check in checks:
            if check.restore and check.row.lr_key not in damaged:
                found += filter(None, [self._restored(check.row)])
        return found

    def _stored(self, check: Check) -> Finding | None:
        return inspect_stored(self._archive, check.row)

    def _restored(self, row: CatalogRow) -> Finding | None:
        """Restore a rendition; restoring compares with the recorded fingerprint."""
        lr_data = self._archive.get(row.lr_key or "")
        try:
            recorded = RestorationMetadata.from_json(row.metadata_json or "")
            if recorded.fingerprint is None:
                return None
            if restore_source_file(lr_data, recorded=recorded) is None:
                restore(lr_data, load_model, recorded=recorded)
        except RefoldError as error:
            return finding(row, "restoration", str(error))
        return None


def inspect_stored(archive: Store, row: CatalogRow) -> Finding | None:
    """Check existence, size, digest, and that file and catalog tell the same.

    Raises:
        StorageError: The store failed.
    """
    try:
        data = archive.get(row.lr_key or "")
    except ObjectNotFoundError:
        return finding(row, "missing", "no such object")
    if len(data) != row.lr_bytes:
        return finding(row, "size", f"{len(data)} bytes, not {row.lr_bytes}")
    if hashlib.sha256(data).hexdigest() != row.lr_sha256:
        return finding(row, "digest", "its bytes are not those that were archived")
    try:
        embedded = read_metadata(data)
        recorded = RestorationMetadata.from_json(row.metadata_json or "")
    except MetadataError as error:
        return finding(row, "metadata", str(error))
    columns = described(embedded) | {
        "source_key": embedded.source_key,
        "source_etag": embedded.source_etag,
        "source_size": embedded.source_size,
        "source_sha256": embedded.source_sha256,
        "target": embedded.target,
    }
    # A row of before a column was says nothing about it.
    old = [name for name in _LATER if getattr(row, name) is None]
    wrong = [
        name for name, value in columns.items() if name not in old and getattr(row, name) != value
    ]
    if embedded != recorded:
        wrong.append("metadata_json")
    if wrong:
        reason = f"the file and the catalog disagree on {', '.join(wrong)}"
        return finding(row, "metadata", reason)
    return None


def finding(row: CatalogRow, problem: Problem, reason: str) -> Finding:
    """What is wrong with a row's LR object."""
    return Finding(
        source_key=row.source_key,
        target=row.target,
        lr_key=row.lr_key or "",
        problem=problem,
        reason=reason,
    )
