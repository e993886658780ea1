"""The proof that a store honours conditional writes."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tasks.storage.errors import StorageError
from tasks.storage.store import Store

RACERS = 6
PROBE_FOLDER = ".refold-probe"


def prove_conditional_writes(store: Store) -> None:
    """Race `RACERS` writers for a fresh key, then try to overwrite the winner.

    Raises:
        StorageError: Why the store cannot be written to safely.
    """
    key = f"{PROBE_FOLDER}/{uuid.uuid4().hex}"
    offers = [f"{key} racer {number}".encode() for number in range(RACERS)]
    try:
        won = _race(store, key, offers)
        stored = store.get(key)
        overwrote = store.put_new(key, b"a later writer")
        after = store.get(key)
    finally:
        store.delete(key)
    if len(won) > 1:
        raise _refusal(store, f"{len(won)} of {RACERS} racing writers were told they had created")
    if overwrote or after != stored:
        raise _refusal(store, "a second conditional write replaced")
    if stored not in (won or offers):
        raise _refusal(store, "a writer that was refused changed")


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
        "(If-None-Match), so two runs could lose each other's commits; use another store"
    )
