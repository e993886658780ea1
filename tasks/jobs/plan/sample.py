"""A random sample of a collection, as it lies or as an archive holds it."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from rescaling_core.errors import UsageError
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.photo import Photo, decode_photo
from rescaling_core.restore import restore, restore_source_file
from tasks.catalog import LIGHT, Catalog, CatalogRow
from tasks.collection.listing import scan
from tasks.collection.shards import SourceObject
from tasks.models.lookup import Models
from tasks.renditions.pixels import pixel_limit
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
        """Decode it.

        Raises:
            PhotoError: It is damaged, too large, or no image.
            UnsupportedImageError: Networks cannot carry it.
        """
        if self.restored is not None:
            return self.restored
        return decode_photo(self.data or b"", max_pixels=max_pixels, max_carried=max_carried)


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
            for row in batch.to_pylist():
                yield SourceObject(key=row["key"], size=row["size"], etag=row["etag"])

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
        self._models = Models(archive)
        self._max_pixels = pixel_limit(archive)

    def sources(self) -> Iterator[SourceObject]:
        """Every source of the catalog, in its latest version."""
        for rows in self.histories(columns=LIGHT):
            yield _latest(rows)

    def histories(self, *, columns: Sequence[str] = ()) -> Iterator[list[CatalogRow]]:
        """The rows of each source, with these columns, by default all."""
        found = self._catalog.rows(columns=columns)
        for _, rows in groupby(found, key=lambda row: row.source_key):
            yield list(rows)

    def original(self, source: SourceObject) -> Original | None:
        """The file that was archived if it is still there, else what is restored of it best."""
        rows = [
            row
            for row in self._catalog.rows(sources=[source.key])
            if row.source_etag == source.etag
        ]
        digests = {row.source_sha256 for row in rows}
        data = None if self._source is None else _unchanged(self._source, source.key, digests)
        if data is not None:
            return Original(data=data)
        restorable = [row for row in rows if row.state == "archived" and row.psnr_y is not None]
        best = max(restorable, key=lambda row: row.psnr_y or 0, default=None)
        return None if best is None else self._restored(best)

    def _restored(self, row: CatalogRow) -> Original:
        lr_data = self._archive.get(row.lr_key or "")
        recorded = RestorationMetadata.from_json(row.metadata_json or "")
        limit = self._max_pixels
        data = restore_source_file(lr_data, recorded=recorded, max_pixels=limit)
        if data is not None:
            return Original(data=data)
        photo = restore(lr_data, self._models, recorded=recorded, max_pixels=limit)
        return Original(data=None, restored=photo)


def _latest(rows: list[CatalogRow]) -> SourceObject:
    row = max(rows, key=lambda row: row.committed_at.timestamp() if row.committed_at else 0.0)
    return SourceObject(key=row.source_key, size=row.source_size, etag=row.source_etag)


def _unchanged(store: Store, key: str, digests: set[str | None]) -> bytes | None:
    try:
        data = store.get(key)
    except ObjectNotFoundError:
        return None
    return data if hashlib.sha256(data).hexdigest() in digests else None


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
