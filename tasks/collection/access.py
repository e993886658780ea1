"""The collection an archive is made of: whether it is there, though all of it may be retired."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from rescaling_core.errors import UsageError
from tasks.catalog.journal import Journal
from tasks.collection.listing import Selection, scan
from tasks.collection.s3_inventory import read_report
from tasks.storage import NothingStoredError, Store


def require_collection(source: Store, archive: Store) -> None:
    """Check that there is something to read from, or was until all of it was retired.

    Object stores have no empty folders: what is retired to the last source looks like a prefix
    that never was, or was mistyped.

    Raises:
        UsageError: The folder, bucket or prefix does not exist.
        StorageError: It cannot be reached or read.
    """
    try:
        source.require_root()
    except NothingStoredError:
        if not Journal(archive).knows(comparable(source.url)):
            raise


def sources_of(source: Store, selection: Selection) -> Iterator[pa.RecordBatch]:
    """The sources a run is about, listed or read from an S3 Inventory report.

    Yields:
        Batches of `listing.SCHEMA`.

    Raises:
        UsageError: A wrong glob or report.
        StorageError: The listing could not be completed.
    """
    include, exclude, report = selection.include, selection.exclude, selection.inventory
    if report is None:
        yield from scan(source, include=include, exclude=exclude)
    else:
        yield from read_report(source, report, include=include, exclude=exclude)


def refuse_nested(source_url: str, archive_url: str) -> None:
    """Refuse an archive inside its own source: the next run would archive the archive.

    Raises:
        UsageError: It is.
    """
    source, archive = comparable(source_url), comparable(archive_url)
    if archive == source or archive.startswith(source + "/"):
        raise UsageError(f"archive {archive_url} lies inside the source {source_url}")


def comparable(url: str) -> str:
    """A URL, or a path made absolute, without a slash at the end."""
    return (url if "://" in url else str(Path(url).resolve())).rstrip("/")
