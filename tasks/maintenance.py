"""The steps that keep an archive tidy, as Prefect tasks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from prefect import task
from prefect.cache_policies import NO_CACHE

from rescaling_core.errors import UsageError
from tasks import progress
from tasks.catalog import Catalog
from tasks.catalog.upkeep import Upkeep, keep_up
from tasks.fixity import join_notes, note
from tasks.lr_objects import UNKNOWN, list_lr_objects
from tasks.progress import Progress
from tasks.retrying import RETRIED
from tasks.storage import ObjectNotFoundError, Store

MIN_GRACE: Final = timedelta(hours=1)
"""A run writes LR objects before it commits them: its shards must be done within the period."""

_AGE: Final = re.compile(r"(\d+)([hdw])")
_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class Removed:
    """LR objects that were removed, or would be."""

    objects: int
    nbytes: int


def parse_age(text: str) -> timedelta:
    """Read `36h`, `7d` or `2w`.

    Raises:
        UsageError: It is none of these.
    """
    match = _AGE.fullmatch(text)
    if match is None:
        raise UsageError(f"age {text!r}: expected hours, days or weeks, such as 36h, 7d or 2w")
    return int(match[1]) * _UNITS[match[2]]


def parse_grace(text: str) -> timedelta:
    """As `parse_age`, but not so short that it touches what a run is about to commit.

    Raises:
        UsageError: It is no age, or below an hour.
    """
    grace = parse_age(text)
    if grace < MIN_GRACE:
        raise UsageError(f"--grace {text}: at least 1h, so that no run's work is taken from it")
    return grace


@task(name="find garbage", **RETRIED)
def find_garbage(archive: Store, catalog: Catalog, before: datetime) -> list[str]:
    """The LR objects no row names that were written before a time.

    The objects are listed first and the catalog is read after that, so that what a run commits
    meanwhile is not taken for garbage. Objects of unknown age never are.

    Raises:
        UsageError: There are objects but no row names any: the catalog is not theirs.
        StorageError: The listing could not be completed.
    """
    objects = list_lr_objects(archive)
    named = pa.chunked_array(
        [batch.column("lr_key") for batch in catalog.batches(columns=("lr_key",))] or [[]],
        pa.string(),
    ).drop_null()
    if objects.num_rows and not len(named):
        raise UsageError(
            f"{archive.url}: {objects.num_rows} LR objects and no row of the catalog that names "
            "one; if the catalog was lost, run `refold rebuild` first"
        )
    modified = objects.column("modified")
    old = pc.and_(
        pc.less(modified, pa.scalar(before, modified.type)),
        pc.not_equal(modified, pa.scalar(UNKNOWN, modified.type)),
    )
    unnamed = pc.invert(pc.is_in(objects.column("key"), value_set=named.combine_chunks()))
    keys: list[str] = objects.filter(pc.and_(old, unnamed)).column("key").to_pylist()
    return keys


@task(name="remove garbage", cache_policy=NO_CACHE)
def remove_garbage(
    archive: Store, keys: list[str], before: datetime, *, dry_run: bool = False
) -> Removed:
    """Remove objects, looking at each once more: what was written again meanwhile stays."""
    objects = nbytes = 0
    for key in keys:
        try:
            info = archive.info(key)
        except ObjectNotFoundError:
            continue
        if info.modified is None or info.modified >= before:
            continue
        if not dry_run:
            archive.delete(key)
        objects += 1
        nbytes += info.size
        progress.report(Progress(step="clean", done=objects, total=len(keys), nbytes=nbytes))
    return Removed(objects, nbytes)


@task(name="remove unfinished", **RETRIED)
def remove_unfinished(archive: Store, before: datetime, *, dry_run: bool = False) -> int:
    """See `Store.remove_unfinished`."""
    return archive.remove_unfinished(before, dry_run=dry_run)


@task(name="compact and vacuum", **RETRIED)
def keep_tables_up(catalog: Catalog, grace: timedelta, *, dry_run: bool = False) -> Upkeep:
    """See `keep_up`."""
    return keep_up(catalog, grace, dry_run=dry_run)


@task(name="note digests", cache_policy=NO_CACHE)
def note_digests(archive: Store, run_id: str) -> None:
    """Note the digests of the files compaction made, and put all notes into one."""
    note(archive, run_id)
    join_notes(archive, run_id)


def cutoff(grace: timedelta) -> datetime:
    """The time before which things may be removed."""
    return datetime.now(UTC) - grace
