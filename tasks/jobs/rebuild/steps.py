"""The steps that make a catalog again from the LR objects alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

from prefect import task

from rescaling_core.errors import UsageError
from rescaling_core.metadata import read_metadata
from tasks.catalog import LIGHT, Archived, Catalog
from tasks.control import progress
from tasks.control.outcomes import Failure, outcome_of
from tasks.control.retries import RETRIED
from tasks.control.run import Wave, batches_of
from tasks.jobs.rebuild.tally import RebuildTally, Unreadable
from tasks.models.archived import missing_models, needs_weights
from tasks.renditions.layout import rendition_key
from tasks.renditions.networks import named_networks
from tasks.renditions.objects import list_lr_objects, newest_of_each
from tasks.renditions.rows import described
from tasks.storage import Store

READERS = 16
"""LR objects read at once."""

COMMIT_ROWS = 1000


@task(name="find LR objects", **RETRIED)
def find_lr_objects(archive: Store) -> list[str]:
    """List the keys of the LR objects, the newest of each source and target.

    Raises:
        UsageError: There is none.
        StorageError: The listing could not be completed.
    """
    objects = newest_of_each(list_lr_objects(archive, progress.scanned))
    if not objects.num_rows:
        raise UsageError(f"{archive.url}: no archive there (nothing lies under renditions/)")
    keys: list[str] = objects.column("key").to_pylist()
    return keys


@task(name="rebuild wave", task_run_name="rebuild wave {wave.number}", **RETRIED)
def rebuild_wave(wave: Wave[str], archive: Store, catalog: Catalog, run_id: str) -> RebuildTally:
    """Read LR objects and commit the rows the catalog lacks; a row that is there stays.

    Rows that a first try of the wave committed are this run's, and are counted as added.
    """
    tally = RebuildTally()
    for keys in batches_of(wave.items, COMMIT_ROWS):
        shard_id = _shard_id(keys)
        with ThreadPoolExecutor(max_workers=READERS) as pool:
            read = partial(row_of, archive, shard_id=shard_id, run_id=run_id)
            found = list(pool.map(read, keys))
        rows = [item for item in found if isinstance(item, Archived)]
        known = _known(catalog, rows)
        missing = [row for row in rows if (row.source_key, row.target) not in known]
        catalog.commit_shard(shard_id, missing, keep_times=True)
        added = [row for row in rows if known.get((row.source_key, row.target), run_id) == run_id]
        tally += RebuildTally(
            added=len(added),
            present=len(rows) - len(added),
            stored_bytes=sum(row.lr_bytes for row in added),
            unreadable=tuple(item for item in found if isinstance(item, Unreadable)),
        )
        wave.report("check", tally.done)
    return tally


@task(name="count networks", **RETRIED)
def count_networks(archive: Store, catalog: Catalog) -> tuple[int, tuple[str, ...]]:
    """How many networks the rows name, and what is missing of them in the archive.

    Raises:
        StorageError: The store failed.
    """
    named = [one for one in named_networks(catalog) if needs_weights(one.weights_sha256)]
    return len(named), tuple(missing_models(archive, named))


def row_of(archive: Store, lr_key: str, *, shard_id: str, run_id: str) -> Archived | Unreadable:
    """The catalog row of an LR object, from its bytes and its name.

    Raises:
        StorageError: The store failed.
    """
    read = partial(_row_of, archive, lr_key, shard_id=shard_id, run_id=run_id)
    found = outcome_of(lr_key, read)
    return Unreadable(lr_key, str(found)) if isinstance(found, Failure) else found


def _row_of(archive: Store, lr_key: str, *, shard_id: str, run_id: str) -> Archived | Unreadable:
    written = archive.info(lr_key).modified
    data = archive.get(lr_key)
    metadata = read_metadata(data)
    digest = hashlib.sha256(data).hexdigest()
    extension = lr_key[lr_key.rfind(".") :]
    if rendition_key(metadata.target, metadata.source_key, digest, extension) != lr_key:
        return Unreadable(lr_key, "its name is not that of its content: damaged, or moved")
    return Archived(
        source_key=metadata.source_key,
        source_etag=metadata.source_etag,
        source_size=metadata.source_size,
        source_sha256=metadata.source_sha256,
        target=metadata.target,
        lr_key=lr_key,
        lr_bytes=len(data),
        lr_sha256=digest,
        metadata_json=metadata.to_json(),
        shard_id=shard_id,
        run_id=run_id,
        committed_at=_committed_at(written),
        **described(metadata),
    )


def _committed_at(written: datetime | None) -> datetime | None:
    """When a row was committed, as near as its LR object tells: just after that was written.

    It decides which rows of a source are of its last version. A time to come tells nothing.
    """
    return None if written is None or written > datetime.now(UTC) else written


def _known(catalog: Catalog, rows: Sequence[Archived]) -> dict[tuple[str, str], str]:
    """The run that wrote the row of each source and target, where the catalog has one."""
    if not rows:
        return {}
    sources = sorted({row.source_key for row in rows})
    found = catalog.rows(sources=sources, columns=LIGHT)
    return {(row.source_key, row.target): row.run_id for row in found}


def _shard_id(lr_keys: Sequence[str]) -> str:
    """Named by content, as all shards are."""
    return hashlib.sha256("\n".join(lr_keys).encode("utf-8", "surrogatepass")).hexdigest()[:16]
