"""The steps that make a catalog again from the LR files alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial

from prefect import task

from rescaling_core.errors import UsageError
from rescaling_core.metadata import RestorationMetadata
from tasks.catalog import LIGHT, Archived, Catalog
from tasks.catalog.place import LrPlace
from tasks.control import progress
from tasks.control.outcomes import Failure, outcome_of
from tasks.control.retries import RETRIED
from tasks.control.run import Wave, batches_of
from tasks.jobs.rebuild.facts import Facts, Waiting, facts_of
from tasks.jobs.rebuild.tally import RebuildTally, Unreadable
from tasks.models.archived import missing_models, needs_weights
from tasks.renditions.files import stored_lr
from tasks.renditions.layout import rendition_key
from tasks.renditions.networks import named_networks
from tasks.renditions.objects import UNKNOWN, list_lr_files, newest_of_each
from tasks.renditions.rows import described
from tasks.storage import Store

READERS = 16
"""LR files read at once."""

COMMIT_ROWS = 1000


@dataclass(frozen=True, slots=True)
class LrFile:
    """An LR file that lies in an archive."""

    place: LrPlace
    """Without its digest, which is known once it was read."""
    archived: datetime = UNKNOWN
    """When it was written, or its row was committed; `UNKNOWN` where nothing says so."""
    known: Callable[[], Facts] | None = None
    """Gives what it says, if it was read already."""


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in an archive."""

    files: list[LrFile]
    """The newest of each source and target, by key."""
    unreadable: tuple[Unreadable, ...]
    """Packs in which nothing can be found from somewhere on."""


@task(name="find LR files", **RETRIED)
def find_lr_files(archive: Store) -> Found:
    """List the LR files, objects and those in packs.

    Raises:
        UsageError: There is none.
        StorageError: The listing could not be completed.
    """
    unreadable: list[Unreadable] = []
    waiting = Waiting()
    listed = list_lr_files(
        archive,
        progress.scanned,
        lambda key, reason: unreadable.append(Unreadable(key, reason)),
        waiting.add,
    )
    if not listed.num_rows and not unreadable:
        raise UsageError(
            f"{archive.url}: no archive there (nothing lies under renditions/ or packs/)"
        )
    newest = newest_of_each(listed)
    names = ("key", "size", "archived", "pack_key", "pack_offset", "kept")
    columns = (newest.column(name).to_pylist() for name in names)
    files = [
        LrFile(
            LrPlace(key, size, "", pack_key, pack_offset),
            archived,
            None if kept is None else partial(waiting.get, kept),
        )
        for key, size, archived, pack_key, pack_offset, kept in zip(*columns, strict=True)
    ]
    return Found(files, tuple(unreadable))


@task(name="rebuild wave", task_run_name="rebuild wave {wave.number}", **RETRIED)
def rebuild_wave(wave: Wave[LrFile], archive: Store, catalog: Catalog, run_id: str) -> RebuildTally:
    """Read LR files and commit the rows the catalog lacks; a row that is there stays.

    Rows that a first try of the wave committed are this run's, and are counted as added.
    """
    tally = RebuildTally()
    for files in batches_of(wave.items, COMMIT_ROWS):
        shard_id = _shard_id([file.place.lr_key for file in files])
        with ThreadPoolExecutor(max_workers=READERS) as pool:
            read = partial(row_of, archive, shard_id=shard_id, run_id=run_id)
            found = list(pool.map(read, files))
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


def row_of(archive: Store, file: LrFile, *, shard_id: str, run_id: str) -> Archived | Unreadable:
    """The catalog row of an LR file, from its bytes and its name.

    Raises:
        StorageError: The store failed.
    """
    read = partial(_row_of, archive, file, shard_id=shard_id, run_id=run_id)
    found = outcome_of(file.place.lr_key, read)
    return Unreadable(file.place.name, str(found)) if isinstance(found, Failure) else found


def _row_of(archive: Store, file: LrFile, *, shard_id: str, run_id: str) -> Archived | Unreadable:
    place = file.place
    facts = facts_of(stored_lr(archive, place)) if file.known is None else file.known()
    metadata = RestorationMetadata.from_json(facts.metadata_json)
    lr_key = place.lr_key
    extension = lr_key[lr_key.rfind(".") :]
    if rendition_key(metadata.target, metadata.source_key, facts.sha256, extension) != lr_key:
        return Unreadable(place.name, "its name is not that of its content: damaged, or moved")
    return Archived(
        source_key=metadata.source_key,
        source_etag=metadata.source_etag,
        source_size=metadata.source_size,
        source_sha256=metadata.source_sha256,
        target=metadata.target,
        **asdict(replace(place, lr_bytes=facts.nbytes, lr_sha256=facts.sha256)),
        metadata_json=facts.metadata_json,
        shard_id=shard_id,
        run_id=run_id,
        committed_at=_committed_at(file.archived),
        **described(metadata),
    )


def _committed_at(written: datetime) -> datetime | None:
    """When a row was committed, as near as its object tells: just after that was written.

    It decides which rows of a source are of its last version. A time to come tells nothing.
    """
    return None if written == UNKNOWN or written > datetime.now(UTC) else written


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
