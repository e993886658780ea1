"""Keeping the lock of what an archive still needs from running out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Final

import pyarrow.compute as pc
from prefect import task

from tasks import settings
from tasks.catalog import Catalog
from tasks.control import progress
from tasks.control.logs import run_log
from tasks.control.progress import Progress
from tasks.control.retries import RETRIED
from tasks.jobs.maintain.tally import MaintainTally
from tasks.models.weights_file import FOLDER
from tasks.renditions.objects import objects_named
from tasks.storage import ObjectNotFoundError, StorageError, Store

AT_ONCE: Final = 16
"""Objects that are looked at together."""

_BATCH: Final = 4096


@task(name="extend retention", **RETRIED)
def extend_retention(archive: Store, catalog: Catalog, *, dry_run: bool = False) -> MaintainTally:
    """Renew the retention of LR objects and packs that rows name, and of networks.

    Where the settings ask for none, nothing is looked at. What cannot be renewed is counted, and
    the first of it is told; what is missing is for `scrub` to find.

    Raises:
        StorageError: The store failed, or could not be reached.
    """
    tally = MaintainTally()
    if not settings.current().retention:
        return tally
    keys = _keys_in_use(archive, catalog)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        while batch := tuple(islice(keys, _BATCH)):
            outcomes = list(pool.map(partial(_retain, archive, dry_run=dry_run), batch))
            refused = [outcome for outcome in outcomes if isinstance(outcome, StorageError)]
            if refused and not tally.unretained:
                run_log().warning("%s; so it is with others, which are counted", refused[0])
            renewed = sum(outcome is True for outcome in outcomes)
            tally += MaintainTally(retained=renewed, unretained=len(refused))
            done = tally.retained + tally.unretained
            progress.report(Progress(step="clean", done=done, total=None))
    return tally


def _keys_in_use(archive: Store, catalog: Catalog) -> Iterator[str]:
    yield from (key.as_py() for key in pc.unique(objects_named(catalog)))
    yield from (info.key for info in archive.list(FOLDER))


def _retain(archive: Store, key: str, *, dry_run: bool) -> bool | StorageError:
    try:
        return archive.retain(key, dry_run=dry_run)
    except ObjectNotFoundError:
        return False
    except StorageError as error:
        if error.retryable:
            raise
        return error
