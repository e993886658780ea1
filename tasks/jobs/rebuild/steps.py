"""The steps that make a catalog again from the LR objects alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from prefect import task

from rescaling_core.errors import UsageError
from rescaling_core.metadata import read_metadata
from tasks.catalog import LIGHT, Catalog, CatalogRow
from tasks.control import progress, waves
from tasks.control.outcomes import Failure, outcome_of
from tasks.control.progress import Progress
from tasks.control.retries import RETRIED
from tasks.renditions.layout import rendition_key
from tasks.renditions.objects import list_lr_objects, newest_of_each
from tasks.renditions.rows import described
from tasks.storage import Store

READERS = 16
"""LR objects read at once."""

COMMIT_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An LR object that no row can be made from, and why."""

    lr_key: str
    reason: str


@dataclass(slots=True)
class RebuildTally:
    """Counts that grow as rows are committed."""

    added: int = 0
    present: int = 0
    """Sources and targets that the catalog had already, in whatever state."""
    stored_bytes: int = 0
    """Of the LR objects whose rows were added."""
    unreadable: list[Unreadable] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    """Ids of what was committed: a wave that is tried again passes over it."""


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


def waves_of(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut the objects of a run into waves."""
    return waves.waves_of(keys, total=len(keys), at_least=COMMIT_ROWS)


@task(name="rebuild wave", task_run_name="rebuild wave {number}", **RETRIED)
def rebuild_wave(
    number: int,
    keys: Sequence[str],
    archive: Store,
    catalog: Catalog,
    run_id: str,
    tally: RebuildTally,
    total: int,
) -> None:
    """Read LR objects and commit the rows the catalog lacks; a row that is there stays."""
    for start in range(0, len(keys), COMMIT_ROWS):
        chunk = keys[start : start + COMMIT_ROWS]
        shard_id = _shard_id(chunk)
        if shard_id in tally.finished:
            continue
        with ThreadPoolExecutor(max_workers=READERS) as pool:
            read = partial(row_of, archive, shard_id=shard_id, run_id=run_id)
            found = list(pool.map(read, chunk))
        rows = [item for item in found if isinstance(item, CatalogRow)]
        known = _known(catalog, rows)
        missing = [row for row in rows if (row.source_key, row.target) not in known]
        catalog.commit_shard(shard_id, missing)
        tally.finished.add(shard_id)
        tally.unreadable += [item for item in found if isinstance(item, Unreadable)]
        tally.added += len(missing)
        tally.present += len(rows) - len(missing)
        tally.stored_bytes += sum(row.lr_bytes or 0 for row in missing)
        done = tally.added + tally.present + len(tally.unreadable)
        progress.report(Progress(step="check", done=done, total=total))


def row_of(archive: Store, lr_key: str, *, shard_id: str, run_id: str) -> CatalogRow | Unreadable:
    """The catalog row of an LR object, from its bytes and its name.

    Raises:
        StorageError: The store failed.
    """
    read = partial(_row_of, archive, lr_key, shard_id=shard_id, run_id=run_id)
    found = outcome_of(lr_key, read)
    return Unreadable(lr_key, str(found)) if isinstance(found, Failure) else found


def _row_of(archive: Store, lr_key: str, *, shard_id: str, run_id: str) -> CatalogRow | Unreadable:
    data = archive.get(lr_key)
    metadata = read_metadata(data)
    digest = hashlib.sha256(data).hexdigest()
    extension = lr_key[lr_key.rfind(".") :]
    if rendition_key(metadata.target, metadata.source_key, digest, extension) != lr_key:
        return Unreadable(lr_key, "its name is not that of its content: damaged, or moved")
    return CatalogRow(
        source_key=metadata.source_key,
        source_etag=metadata.source_etag,
        source_size=metadata.source_size,
        source_sha256=metadata.source_sha256,
        target=metadata.target,
        state="archived",
        lr_key=lr_key,
        lr_bytes=len(data),
        lr_sha256=digest,
        metadata_json=metadata.to_json(),
        shard_id=shard_id,
        run_id=run_id,
        **described(metadata),
    )


def _known(catalog: Catalog, rows: Sequence[CatalogRow]) -> set[tuple[str, str]]:
    if not rows:
        return set()
    sources = sorted({row.source_key for row in rows})
    return {(row.source_key, row.target) for row in catalog.rows(sources=sources, columns=LIGHT)}


def _shard_id(lr_keys: Sequence[str]) -> str:
    """Named by content, as all shards are."""
    return hashlib.sha256("\n".join(lr_keys).encode("utf-8", "surrogatepass")).hexdigest()[:16]
