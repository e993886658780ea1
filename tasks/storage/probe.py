"""The proof that a store honours conditional writes."""

from __future__ import annotations

import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier
from typing import Final

from tasks.storage.errors import NotPermittedError, ObjectNotFoundError, StorageError
from tasks.storage.store import Store

RACERS = 6
PROBE_FOLDER = ".refold-probe"

KEPT: Final = f"{PROBE_FOLDER}/kept"
"""Stays in a store that refuses to delete. Later runs prove the store on it instead of leaving one
object more each time."""

HIDDEN: Final = (
    "%s: the bucket keeps versions: what is deleted or moved there is hidden, and its bytes stay "
    "until a rule of the bucket's life cycle removes noncurrent versions"
)
"""What a job that deletes in such a bucket says once; to be filled with the store's URL."""


def prove_conditional_writes(store: Store) -> None:
    """Race `RACERS` writers for a fresh key, then try to overwrite the winner.

    In a store that lets nobody delete, that is done once; later runs only try to overwrite.

    Raises:
        StorageError: Why the store cannot be written to safely.
    """
    try:
        kept = store.get(KEPT)
    except ObjectNotFoundError:
        key = f"{PROBE_FOLDER}/{uuid.uuid4().hex}"
        try:
            _prove_by_race(store, key)
        except StorageError:
            _remove(store, key)  # what went wrong is to be told, not what followed
            raise
        if (refusal := _remove(store, key)) is not None:
            logging.getLogger(__name__).warning(
                "%s; the archive is taken to be append-only, and the probe stays", refusal
            )
            store.put_new(KEPT, b"left by refold: this store does not let it delete")
    else:
        _refuse_overwriting(store, KEPT, kept)


def may_delete(store: Store) -> bool:
    """Whether the store lets these credentials delete: what is asked for is not there.

    Raises:
        StorageError: The store failed.
    """
    try:
        store.delete(f"{PROBE_FOLDER}/{uuid.uuid4().hex}")
    except NotPermittedError:
        return False
    return True


def remove_probes(store: Store, before: datetime, *, dry_run: bool = False) -> list[str]:
    """Remove the probes that earlier runs could not, where that is allowed now.

    Args:
        store: The archive.
        before: What was written later stays: a run may be at it.
        dry_run: Only say which there are.

    Returns:
        Their keys.
    """
    removed = []
    for info in list(store.list(f"{PROBE_FOLDER}/")):
        if info.modified is None or info.modified >= before:
            continue
        if dry_run or _remove(store, info.key) is None:
            removed.append(info.key)
    return removed


def _prove_by_race(store: Store, key: str) -> None:
    offers = [f"{key} racer {number}".encode() for number in range(RACERS)]
    won = _race(store, key, offers)
    stored = store.get(key)
    if len(won) > 1:
        raise _refusal(store, f"{len(won)} of {RACERS} racing writers were told they had created")
    _refuse_overwriting(store, key, stored)
    if stored not in (won or offers):
        raise _refusal(store, "a writer that was refused changed")


def _refuse_overwriting(store: Store, key: str, stored: bytes) -> None:
    overwrote = store.put_new(key, b"a later writer")
    if overwrote or store.get(key) != stored:
        raise _refusal(store, "a second conditional write replaced")


def _remove(store: Store, key: str) -> StorageError | None:
    """Delete a probe; returns the error if the store refuses that for good."""
    try:
        store.delete(key)
    except StorageError as error:
        if error.retryable:
            raise
        return error
    return None


def _race(store: Store, key: str, offers: list[bytes]) -> list[bytes]:
    """The offers that `put_new` said were stored."""
    start = Barrier(len(offers))

    def offer(data: bytes) -> bool:
        start.wait()
        return store.put_new(key, data)

    with ThreadPoolExecutor(max_workers=len(offers)) as pool:
        return [data for data, won in zip(offers, pool.map(offer, offers), strict=True) if won]


def _refusal(store: Store, what: str) -> StorageError:
    return StorageError(
        f"{store.url}: {what} the same key: this store does not honour conditional writes "
        "(If-None-Match), so two runs could lose each other's commits; use another store, or a "
        "bucket that keeps no versions: where versions are kept, Ceph's gateway lets all racers win"
    )
