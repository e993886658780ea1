"""The collection an archive is made of: whether it is there, though all of it may be retired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from rescaling_core.errors import UsageError
from tasks.catalog.journal import Journal
from tasks.collection.listing import Selection, scan
from tasks.collection.s3_inventory import read_report
from tasks.storage import NothingStoredError, Place, Store


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
        if not Journal(archive).knows(source.place.name):
            raise


def sources_of(
    source: Store, selection: Selection, *, avoid: Sequence[Place] = ()
) -> Iterator[pa.RecordBatch]:
    """The sources a run is about, listed or read from an S3 Inventory report.

    Args:
        source: The collection.
        selection: Which of its sources.
        avoid: Places inside that are not entered: archives.

    Yields:
        Batches of `listing.SCHEMA`.

    Raises:
        UsageError: A wrong glob or report.
        StorageError: The listing could not be completed.
    """
    include, exclude, report = selection.include, selection.exclude, selection.inventory
    if report is None:
        yield from scan(source, include=include, exclude=exclude, avoid=avoid)
    else:
        yield from read_report(source, report, include=include, exclude=exclude)


def refuse_nested(source: Store, archive: Store) -> None:
    """Refuse an archive inside its source, a source inside its archive, and one that is both.

    The next run would archive the archive, or `retire` delete it. Where the stores really lie
    decides, whatever links and spellings lead there.

    Raises:
        UsageError: They are nested.
    """
    if source.place.holds(archive.place):
        raise UsageError(
            f"archive {archive.url} lies inside the source {source.url}: choose another place"
        )
    if archive.place.holds(source.place):
        raise UsageError(f"source {source.url} lies inside the archive {archive.url}")


def refuse_inside_archive(destination: Store, archive: Store) -> None:
    """Refuse to write restored files among the files of an archive.

    Raises:
        UsageError: The destination lies there.
    """
    if archive.place.holds(destination.place):
        raise UsageError(
            f"destination {destination.url} lies inside the archive {archive.url}: choose another"
        )
