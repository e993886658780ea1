"""The files that are exported for an item: read from the archive, and restored if that is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from rescaling_core.metadata import read_metadata
from rescaling_core.photo import RestoredFile
from tasks.control.outcomes import Failure, outcome_of
from tasks.datasets.reader import Reader
from tasks.jobs.export.items import Item
from tasks.models.lookup import Models
from tasks.renditions.pixels import pixel_limit
from tasks.renditions.restoring import StoredRendition
from tasks.storage import Store

_AHEAD: Final = 16
"""LR files that are read before their turn."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is written for one item."""

    item: Item
    outcome: RestoredFile | Failure


class Contents:
    """Makes the files of items, one after the other."""

    def __init__(self, archive: Store, *, restored: bool) -> None:
        """Look up what reading an archive needs.

        Raises:
            StorageError: The store failed.
        """
        self._models, self._restored = Models.for_reading(archive), restored
        self._max_pixels = pixel_limit(archive)
        self._reader = Reader(archive.url, "lr", self._max_pixels)

    def of(self, items: Sequence[Item]) -> Iterator[Content]:
        """The files of some items, in their order.

        Raises:
            StorageError: The archive's store failed.
        """
        for start in range(0, len(items), _AHEAD):
            part = items[start : start + _AHEAD]
            reading = list(self._reader.fetch([item.entry for item in part]))
            for item, data in zip(part, reading, strict=True):
                key = item.entry.source_key
                yield Content(item, outcome_of(key, partial(self._file, item, data)))

    def _file(self, item: Item, read: Callable[[], bytes]) -> RestoredFile:
        data = read()
        if not self._restored:
            return RestoredFile(data=data, extension=item.extension)
        recorded = read_metadata(data)
        return StoredRendition(data, recorded, self._models, self._max_pixels).file()
