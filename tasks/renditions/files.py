"""The bytes of LR files, as they lie in an archive: objects of their own, or parts of packs.

Whoever reads one reads it here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from rescaling_core.errors import RestorationMismatchError
from tasks.catalog.place import LrPlace
from tasks.renditions.packs import BLOCK
from tasks.storage import Store

MOST_TOGETHER: Final = 8 * 2**20
"""Bytes of a pack that are read by one request for several LR files."""

MOST_BETWEEN: Final = 16 * 2**10
"""Bytes between two of them that are read in vain: fewer than a request is worth."""


def stored_lr(archive: Store, place: LrPlace) -> bytes:
    """What lies at a place, whatever it is; for those who look whether it is what it should be.

    Raises:
        ObjectNotFoundError: There is no such object.
        StorageError: The store failed.
    """
    if place.pack_key is None:
        return archive.get(place.lr_key)
    _, data = stored_member(archive, place.pack_key, place)
    return data


def stored_member(archive: Store, pack: str, place: LrPlace) -> tuple[bytes, bytes]:
    """What lies before an LR file in its pack, where a header should be, and in its place.

    Args:
        archive: It lies in.
        pack: Key of the pack.
        place: Of the LR file.

    Raises:
        ObjectNotFoundError: There is no such pack.
        StorageError: The store failed.
    """
    span = _span_of(place)
    if span is None:
        return b"", b""
    found = archive.get_range(pack, span.start, len(span))
    return found[:BLOCK], found[BLOCK:]


def stored_neighbours(
    archive: Store, pack: str, places: Sequence[LrPlace]
) -> list[tuple[bytes, bytes]]:
    """What `stored_member` gives of each, by one request for all.

    Args:
        archive: They lie in.
        pack: Key of the pack.
        places: Some that `neighbours` puts together.

    Raises:
        ObjectNotFoundError: There is no such pack.
        StorageError: The store failed.
    """
    spans = [span for place in places if (span := _span_of(place)) is not None]
    first = min(span.start for span in spans)
    found = archive.get_range(pack, first, max(span.stop for span in spans) - first)
    parts = (found[span.start - first : span.stop - first] for span in spans)
    return [(part[:BLOCK], part[BLOCK:]) for part in parts]


def neighbours(places: Sequence[LrPlace]) -> list[list[int]]:
    """Put together what lies in a pack one behind the other, by numbers of the places.

    What lies nowhere near another is alone, and so is every object.
    """
    groups: list[list[int]] = []
    spans: list[tuple[str, int, int, int]] = []
    for number, place in enumerate(places):
        span = _span_of(place)
        if place.pack_key is None or span is None:
            groups.append([number])
        else:
            spans.append((place.pack_key, span.start, span.stop, number))
    pack, first, last = "", 0, 0
    for key, start, stop, number in sorted(spans):
        near = key == pack and start - last <= MOST_BETWEEN
        if near and max(last, stop) - first <= MOST_TOGETHER:
            groups[-1].append(number)
            last = max(last, stop)
        else:
            groups.append([number])
            pack, first, last = key, start, stop
    return groups


def _span_of(place: LrPlace) -> range | None:
    """The bytes of a pack that hold an LR file and its header; None where a damaged row says so."""
    start = place.pack_offset
    if start is None or start < BLOCK or place.lr_bytes < 1:
        return None
    return range(start - BLOCK, start + place.lr_bytes)


def read_lr(archive: Store, place: LrPlace) -> bytes:
    """The LR file that was archived.

    Raises:
        ObjectNotFoundError: There is no such object.
        RestorationMismatchError: Its bytes are not those that were archived.
        StorageError: The store failed.
    """
    data = stored_lr(archive, place)
    if hashlib.sha256(data).hexdigest() != place.lr_sha256:
        raise RestorationMismatchError(f"{place.name}: its bytes are not those that were archived")
    return data
