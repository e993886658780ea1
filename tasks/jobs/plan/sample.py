"""A random sample of a collection, as it lies or as an archive holds it."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rescaling_core.errors import UsageError
from rescaling_core.photo import Photo, decode_for_preview
from tasks.catalog import LIGHT, Archived, Catalog
from tasks.catalog.history import History, histories
from tasks.collection.listing import scan
from tasks.collection.shards import SourceObject
from tasks.renditions.restoring import Renditions
from tasks.renditions.sources import unchanged_source
from tasks.storage import ObjectNotFoundError, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Sources drawn at random, and what they stand for."""

    sources: tuple[SourceObject, ...]
    listed: int
    """Number of sources in the collection."""
    listed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A source to convert: its file or, where that is gone, its restored image."""

    data: bytes | None
    restored: Photo | None = None

    def photo(self, max_pixels: int, max_carried: int) -> Photo:
        """Decode it, or else what can be shown of it.

        Raises:
            PhotoError: It is damaged, too large, or no image.
            UnsupportedImageError: Nothing can be shown of it either.
        """
        if self.restored is not None:
            return self.restored
        return decode_for_preview(self.data or b"", max_pixels=max_pixels, max_carried=max_carried)


class Collection(Protocol):
    """Where a sample is drawn from."""

    def sources(self) -> Iterator[SourceObject]:
        """All sources, each once."""

    def original(self, source: SourceObject) -> Original | None:
        """One of them; None if there is nothing left to convert."""


class LiveCollection:
    """Sources where they lie."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def sources(self) -> Iterator[SourceObject]:
        """List the store."""
        for batch in scan(self._store):
            for source in (SourceObject(**row) for row in batch.to_pylist()):
                if source.trouble is None:
                    yield source

    def original(self, source: SourceObject) -> Original | None:
        """Read it."""
        try:
            return Original(data=self._store.get(source.key))
        except ObjectNotFoundError:
            return None


class ArchivedCollection:
    """Sources as the catalog of an archive knows them; retired ones are restored."""

    def __init__(self, archive: Store, catalog: Catalog, source: Store | None) -> None:
        """Say where to look.

        Args:
            archive: The archive.
            catalog: Its catalog.
            source: The collection it was made from; None if that is gone.
        """
        self._archive, self._catalog, self._source = archive, catalog, source
        self._renditions = Renditions(archive)

    def sources(self) -> Iterator[SourceObject]:
        """Every source of the catalog, in its latest version."""
        for history in self.histories(columns=LIGHT):
            row = history.latest
            yield SourceObject(key=row.source_key, size=row.source_size, etag=row.source_etag)

    def histories(self, *, columns: Sequence[str] = ()) -> Iterator[History]:
        """The history of each source, with these columns, by default all."""
        return histories(self._catalog.rows(columns=columns))

    def original(self, source: SourceObject) -> Original | None:
        """The file that was archived if it is still there, else what is restored of it best."""
        rows = tuple(self._catalog.rows(sources=[source.key]))
        if not rows:
            return None
        history = History.of(rows)
        data = unchanged_source(self._source, history.latest)
        if data is not None:
            return Original(data=data)
        return None if history.best is None else self._restored(history.best)

    def _restored(self, row: Archived) -> Original:
        stored = self._renditions.read(row)
        data = stored.source_file()
        if data is not None:
            return Original(data=data)
        return Original(data=None, restored=stored.photo())


def draw_sample(collection: Collection, count: int, *, name: str, seed: int = 0) -> Sample:
    """Draw sources at random, each with the same chance, the same ones for the same seed.

    Args:
        collection: Where from.
        count: How many, at most.
        name: What to call it in errors.
        seed: Another one draws others.

    Raises:
        UsageError: There is nothing to draw from.
    """
    listed = listed_bytes = 0

    def keyed() -> Iterator[tuple[str, SourceObject]]:
        nonlocal listed, listed_bytes
        for source in collection.sources():
            listed += 1
            listed_bytes += source.size
            yield hashlib.sha256(f"{seed}/{source.key}".encode()).hexdigest(), source

    drawn = heapq.nsmallest(count, keyed(), key=lambda pair: pair[0])
    if not drawn:
        raise UsageError(f"{name}: nothing to draw a sample from")
    ordered = sorted((source for _, source in drawn), key=lambda source: source.key)
    return Sample(sources=tuple(ordered), listed=listed, listed_bytes=listed_bytes)
