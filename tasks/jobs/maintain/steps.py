"""The steps that keep an archive tidy, as Prefect tasks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from prefect import task
from prefect.cache_policies import NO_CACHE

from rescaling_core.errors import UsageError
from tasks.catalog import Catalog
from tasks.catalog.digests import append_digests, merge_digests
from tasks.catalog.upkeep import Upkeep, keep_up
from tasks.control import progress
from tasks.control.logs import run_log
from tasks.control.progress import Progress
from tasks.control.retries import RETRIED
from tasks.jobs.maintain.tally import MaintainTally
from tasks.models.archived import put_back
from tasks.models.instructions import keep_instructions
from tasks.renditions.emptied import emptied_since, forget_before
from tasks.renditions.networks import named_networks
from tasks.renditions.objects import UNKNOWN, list_objects, objects_named
from tasks.storage import NotPermittedError, ObjectNotFoundError, Store, probe
from tasks.storage.probe import remove_probes


@task(name="find garbage", **RETRIED)
def find_garbage(archive: Store, catalog: Catalog, before: datetime) -> list[str]:
    """The LR objects and packs no row names that were written before a time.

    A pack stays as long as a row names one LR file in it, and for as long after that as readers may
    hold such a row: until its files were put into another pack before that time.

    The objects are listed first and the catalog is read after that, so that what a run commits
    meanwhile is not taken for garbage. Objects of unknown age never are.

    Raises:
        UsageError: There are objects but no row names any: the catalog is not theirs.
        StorageError: The listing could not be completed.
    """
    objects = list_objects(archive, progress.scanned)
    named = objects_named(catalog)
    if objects.num_rows and not len(named):
        raise UsageError(
            f"{archive.url}: {objects.num_rows} LR objects and no row of the catalog that names "
            "one; if the catalog was lost, run `refold rebuild` first"
        )
    # What a row named until just now was noted before, so that the notes are read after the rows.
    still_read = pa.chunked_array([emptied_since(archive, before)], pa.string())
    named = pa.chunked_array([*named.chunks, *still_read.chunks], pa.string())
    modified = objects.column("modified")
    old = pc.and_(
        pc.less(modified, pa.scalar(before, modified.type)),
        pc.not_equal(modified, pa.scalar(UNKNOWN, modified.type)),
    )
    unnamed = pc.invert(pc.is_in(objects.column("key"), value_set=named.combine_chunks()))
    keys: list[str] = objects.filter(pc.and_(old, unnamed)).column("key").to_pylist()
    return keys


@task(name="ask whether it may delete", **RETRIED)
def may_delete(archive: Store) -> bool:
    """Whether these credentials may delete in the archive; says so once where they may not."""
    if allowed := probe.may_delete(archive):
        return allowed
    run_log().warning(
        "%s: these credentials may not delete there; what would be removed is only counted",
        archive.url,
    )
    return False


@task(name="remove garbage", cache_policy=NO_CACHE)
def remove_garbage(
    archive: Store, keys: list[str], before: datetime, *, dry_run: bool = False
) -> MaintainTally:
    """Remove objects, looking at each once more: what was written again meanwhile stays.

    So does what a retention or a legal hold keeps, or what may not be deleted: the first of them is
    told, and the rest goes.
    """
    log = run_log()
    objects = nbytes = locked = 0
    for key in keys:
        try:
            info = archive.info(key)
        except ObjectNotFoundError:
            continue
        if info.modified is None or info.modified >= before:
            continue
        try:
            archive.refuse_locked(info)
            if not dry_run:
                archive.delete(key)
                log.info("deleted %s: %d bytes that no row names", key, info.size)
        except NotPermittedError as error:
            if not locked:
                log.warning("%s; such objects stay, though no row names them", error)
            locked += 1
            continue
        objects += 1
        nbytes += info.size
        progress.report(Progress(step="clean", done=objects, total=len(keys), nbytes=nbytes))
    return MaintainTally(removed_objects=objects, removed_bytes=nbytes, locked=locked)


@task(name="forget emptied packs", **RETRIED)
def forget_emptied(archive: Store, before: datetime) -> None:
    """Remove the notes that have kept packs for readers until now; see `find_garbage`."""
    forget_before(archive, before)


@task(name="remove unfinished", **RETRIED)
def remove_unfinished(archive: Store, before: datetime, *, dry_run: bool = False) -> MaintainTally:
    """Remove half files (see `Store.remove_unfinished`) and probes that earlier runs left."""
    removed = [
        *archive.remove_unfinished(before, dry_run=dry_run),
        *remove_probes(archive, before, dry_run=dry_run),
    ]
    log = run_log()
    for name in () if dry_run else removed:
        log.info("deleted %s: a killed writer left it unfinished", name)
    return MaintainTally(unfinished=len(removed))


@task(name="keep networks", **RETRIED)
def keep_networks(archive: Store, catalog: Catalog) -> MaintainTally:
    """Put networks that rows name and the archive lacks into it; renew README.md and restore.py.

    Raises:
        StorageError: The store failed.
    """
    keep_instructions(archive)
    return MaintainTally(networks=len(put_back(archive, named_networks(catalog))))


@task(name="compact and vacuum", **RETRIED)
def keep_tables_up(
    catalog: Catalog, grace: timedelta, *, dry_run: bool = False, may_delete: bool = True
) -> Upkeep:
    """See `keep_up`."""
    removed = partial(run_log().info, "deleted %s: no version needs it")
    return keep_up(catalog, grace, dry_run=dry_run, may_delete=may_delete, removed=removed)


def tell_of_versions(archive: Store) -> None:
    """Say once, after deletions, that they have only hidden what they were of."""
    if archive.keeps_versions:
        run_log().warning(probe.HIDDEN, archive.url)


@task(name="note digests", cache_policy=NO_CACHE)
def note_digests(archive: Store, run_id: str) -> None:
    """Note the digests of the files compaction made, and put all notes into one."""
    append_digests(archive, run_id)
    merge_digests(archive, run_id)


def cutoff(grace: timedelta) -> datetime:
    """The time before which things may be removed."""
    return datetime.now(UTC) - grace
