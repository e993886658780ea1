"""Notes of packs whose files were put into other packs, for as long as readers may ask for them.

A reader that holds a row of before goes on in the old pack. Each note is an object of its own,
written before the rows are committed, and as old as the store says.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rescaling_core import limits
from tasks.storage import NotPermittedError, ObjectNotFoundError

if TYPE_CHECKING:
    from tasks.storage import Store

PREFIX: Final = "catalog/emptied-packs/"


def note_emptied(archive: Store, packs: Sequence[str]) -> None:
    """Note that rows are about to name other packs than these.

    Raises:
        StorageError: The store failed: no row may be committed.
    """
    data = json.dumps({"packs": sorted(packs)}, indent=0).encode()
    # Put, not put_new: written again, it is young again.
    archive.put(f"{PREFIX}{hashlib.sha256(data).hexdigest()[:32]}.json", data)


def emptied_since(archive: Store, before: datetime) -> list[str]:
    """Keys of the packs that were noted since a time, or at a time that nobody knows.

    A note that cannot be understood keeps nothing: no row needs the packs it was about.

    Raises:
        StorageError: The store failed.
    """
    found: list[str] = []
    for info in archive.list(PREFIX):
        if info.modified is None or info.modified >= before:
            found += _packs_in(archive, info.key)
    return found


def forget_before(archive: Store, before: datetime) -> None:
    """Remove the notes that were written before a time, but for those that a lock keeps.

    Raises:
        StorageError: The store failed.
    """
    for info in archive.list(PREFIX):
        if info.modified is None or info.modified >= before:
            continue
        try:
            archive.delete(info.key)
        except NotPermittedError:
            continue


def _packs_in(archive: Store, key: str) -> Iterator[str]:
    try:
        packs = limits.read_json(archive.get(key))["packs"]
        yield from (pack for pack in packs if isinstance(pack, str))
    except (ObjectNotFoundError, ValueError, KeyError, TypeError):
        return
