"""Digests of the files the catalog is made of, so that a flipped bit in one of them is found.

Parquet and Delta Lake's log say nothing of what their bytes should be. Those files never change
once written, so their SHA-256 is noted at the end of every run that writes to an archive, in
`catalog/digests/`, one object a run, named by its own digest. `scrub` holds the files against what
was noted. A file that nobody noted yet, since its run was killed, is noted by the next run that
ends.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from rescaling_core import limits
from tasks.catalog.journal import PREFIX as RETIREMENTS
from tasks.storage import ObjectNotFoundError

if TYPE_CHECKING:
    from tasks.storage import Store

LEDGER: Final = "catalog/digests/"
TABLES: Final = ("catalog/", f"{RETIREMENTS}/")

MAX_NOTED: Final = 10_000_000
"""Number of files that one note may name."""

READERS: Final = 16
"""Number of files read at once."""


def is_lasting(key: str) -> bool:
    """Whether a file of a table is written once and for all, under a name of its own."""
    name = key.rpartition("/")[2]
    unfinished = "#" in name  # how Delta Lake names what it is still writing on local disks
    return not key.startswith(LEDGER) and name != "_last_checkpoint" and not unfinished


def table_files(archive: Store) -> list[str]:
    """Keys of all lasting files of the catalog and of the journal of retirements."""
    return [info.key for prefix in TABLES for info in archive.list(prefix) if is_lasting(info.key)]


def read_digests(archive: Store) -> dict[str, str]:
    """SHA-256 of files by key, as runs noted them.

    Raises:
        ValueError: A note is damaged; the message is its key.
    """
    digests: dict[str, str] = {}
    for info in archive.list(LEDGER):
        data = archive.get(info.key)
        if not info.key.endswith(_name_of(data)):
            raise ValueError(info.key)
        try:
            digests |= limits.read_json(data, most_values=MAX_NOTED)["sha256"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(info.key) from error
    return digests


def append_digests(archive: Store, run_id: str) -> int:
    """Note the digests of files that nobody noted yet.

    Returns:
        How many there were. Damaged notes are left to `scrub`, which reports them.
    """
    try:
        known = read_digests(archive)
    except ValueError:
        return 0
    new = digests_of(archive, (key for key in table_files(archive) if key not in known))
    if new:
        _write(archive, run_id, new)
    return len(new)


def merge_digests(archive: Store, run_id: str) -> None:
    """Put all notes into one, leaving out files that no longer exist."""
    try:
        known = read_digests(archive)
    except ValueError:
        return
    present = set(table_files(archive))
    kept = {key: digest for key, digest in known.items() if key in present}
    earlier = [info.key for info in archive.list(LEDGER)]
    own = _write(archive, run_id, kept)
    for key in earlier:
        if key != own:
            archive.delete(key)


def damaged_files(archive: Store) -> dict[str, str]:
    """Files that are not what was noted, and why.

    Raises:
        StorageError: The store failed, so that nothing is known of them.
    """
    try:
        known = read_digests(archive)
    except ValueError as error:
        return {str(error): "a note of digests is damaged"}
    found = digests_of(archive, (key for key in table_files(archive) if key in known))
    return {
        key: "its bytes are not those that were written"
        for key, digest in found.items()
        if digest != known[key]
    }


def _write(archive: Store, run_id: str, digests: Mapping[str, str]) -> str:
    data = json.dumps({"sha256": digests}, indent=0).encode()
    key = f"{LEDGER}{run_id}-{_name_of(data)}"
    archive.put(key, data)
    return key


def _name_of(data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()[:32]}.json"


def digests_of(archive: Store, keys: Iterable[str]) -> Mapping[str, str]:
    """SHA-256 of objects by key; those that are gone meanwhile are left out."""

    def digest(key: str) -> tuple[str, str] | None:
        try:
            return key, hashlib.sha256(archive.get(key)).hexdigest()
        except ObjectNotFoundError:  # vacuumed, or an old log file that Delta Lake cleaned up
            return None

    with ThreadPoolExecutor(max_workers=READERS) as pool:
        return dict(item for item in pool.map(digest, keys) if item is not None)
