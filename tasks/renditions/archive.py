"""An archive that is open and warm: its renditions are found, read and restored in this process.

    from tasks.renditions.archive import Archive

    photo = Archive("s3://bucket/archive").restore("2019/pier.jpg")

Neither Ray nor Prefect is started. The first restoration loads the network; later ones take the
time of their own pixels.
"""

from __future__ import annotations

from threading import Lock
from typing import Final

from cachetools import TTLCache

from rescaling_core.codecs import read_extras
from rescaling_core.containers.exif import orientation
from rescaling_core.errors import (
    RefoldError,
    UnsupportedImageError,
    UsageError,
)
from rescaling_core.metadata import read_metadata
from rescaling_core.opened import OpenedLr, open_lr
from rescaling_core.photo import Photo, decode_photo, decode_shown
from rescaling_core.pixels.area import Area, upright_size
from rescaling_core.pixels.arrays import U8Array
from rescaling_core.plan import PACKED, TRANSCODE
from rescaling_core.regions import view
from rescaling_core.restore import restore_whole
from tasks.catalog import Archived, Catalog, CatalogRow, open_catalog
from tasks.catalog.history import History, can_be_restored
from tasks.catalog.paging import Page, Position, Search
from tasks.models.lookup import Models
from tasks.renditions.cache import ByteCache
from tasks.renditions.files import read_lr
from tasks.renditions.remembered import Kept, Remembered
from tasks.renditions.restoring import Renditions
from tasks.renditions.sources import unchanged_source
from tasks.renditions.tile_folder import TileFolder
from tasks.storage import Store, open_store

DEFAULT_CACHE: Final = 512 * 2**20
"""Bytes of decoded LR images, residuals and restored tiles that are kept."""

_ROWS_KEPT: Final = 10_000
_ROW_SECONDS: Final = 10.0
"""For so long a row that was looked up is taken as it was."""


class NotInArchiveError(RefoldError, LookupError):
    """The archive has no rendition that answers the question."""


class Archive:
    """One archive; safe to use from several threads."""

    def __init__(
        self, url: str, *, cache: ByteCache | None = None, tiles: TileFolder | None = None
    ) -> None:
        """Open an archive.

        Args:
            url: URL or path.
            cache: Where decoded and restored pixels are kept; by default one of its own, of
                512 MiB. Several archives may share one.
            tiles: Where restored tiles are kept on a disk as well; by default nowhere. Several
                archives may share one.

        Raises:
            UsageError: A wrong URL, or no archive there.
            StorageError: The store cannot be reached.
        """
        self._store = open_store(url)
        self._catalog = open_catalog(self._store, create=False)
        self._models = Models.for_reading(self._store)
        self._renditions = Renditions(self._store, self._models)
        self.cache = cache or ByteCache(DEFAULT_CACHE)
        self._tiles = tiles
        self._rows: TTLCache[tuple[str, str | None], CatalogRow] = TTLCache(
            _ROWS_KEPT, _ROW_SECONDS
        )
        self._lock = Lock()

    @property
    def catalog(self) -> Catalog:
        """What is known of its sources."""
        return self._catalog

    @property
    def store(self) -> Store:
        """Where it lies."""
        return self._store

    def page(self, search: Search, after: Position | None = None, count: int = 100) -> Page:
        """Some rows of the catalog; see `Catalog.page`."""
        return self._catalog.page(search, after, count)

    def row(self, key: str, target: str | None = None) -> CatalogRow:
        """The row of a source, with its restoration metadata.

        Args:
            key: Of the source.
            target: Which of its renditions; by default the one that it is best restored from.

        Raises:
            NotInArchiveError: There is none.
            StorageError: The catalog cannot be read.
        """
        with self._lock:
            known = self._rows.get((key, target))
        if known is not None:
            return known
        rows = list(self._catalog.rows(sources=[key], target=target))
        if target is None:
            best = History.of(rows).best if rows else None
            rows = [] if best is None else [best]
        if not rows:
            what = "rendition" if target is None else f"rendition at {target}"
            raise NotInArchiveError(f"{key}: the archive has no {what} of it")
        with self._lock:
            self._rows[key, target] = rows[0]
        return rows[0]

    def restore(self, key: str, target: str | None = None) -> Photo:
        """Restore a source, checked against what was measured.

        Args:
            key: Of the source.
            target: From which of its renditions; by default from the best.

        Raises:
            NotInArchiveError: There is no rendition to restore it from.
            RefoldError: The rendition is missing or damaged, or the store fails.
        """
        return self.restored(self.row(key, target))

    def restored(self, row: CatalogRow) -> Photo:
        """The whole of a source, as `restore` gives it, from the rendition of a row.

        Raises:
            NotInArchiveError: The row has no rendition that can be restored.
            RefoldError: The rendition is missing or damaged, or the store fails.
        """
        return restore_whole(self.opened(row), self._models)

    def view(
        self,
        row: CatalogRow,
        region: Area | None = None,
        size: tuple[int, int] | None = None,
        *,
        kept_only: bool = False,
    ) -> Photo:
        """A region of a source at some size; see `rescaling_core.regions.view`.

        Args:
            row: Whose rendition it is.
            region: Of the photo as stored; all of it by default.
            size: (width, height) of the result; by default the region's own.
            kept_only: Refuse to run a network: tiles and residuals come from those that are kept.

        Raises:
            NotKeptError: A network would have to run, or a residual be decoded, and none is to.
            NotInArchiveError: The row has no rendition that can be restored.
            UsageError: The region does not lie within the photo, or the size is not one.
            RefoldError: The rendition is missing or damaged, or the store fails.
        """
        known = Kept if kept_only else Remembered
        name = f"{_restorable(row).lr_sha256} in {self._models.precision}"
        remember = known(self.cache, name, self._tiles)
        return view(self.opened(row), self._models, region, size, remember=remember)

    def opened(self, row: CatalogRow) -> OpenedLr:
        """The LR file of a row, decoded and checked.

        Raises:
            NotInArchiveError: The row has no rendition that can be restored.
            RefoldError: The rendition is missing or damaged, or the store fails.
        """
        found = _restorable(row)
        return self.cache.get((found.lr_sha256, "open"), lambda: self._open(found))

    def lr_file(self, row: CatalogRow) -> bytes:
        """The stored LR file of a row, byte for byte.

        Raises:
            NotInArchiveError: The row has none.
            RestorationMismatchError: Its bytes are not those that were archived.
            ObjectNotFoundError: It is gone.
            StorageError: The store failed.
        """
        found = _archived(row)
        return self.cache.get((found.lr_sha256, "file"), lambda: read_lr(self._store, found.place))

    def source(self, row: CatalogRow) -> U8Array | None:
        """The pixels of a source as stored, where it was archived and still is what it was.

        Of one whose file is packed they are what can be shown of it, as they are of its rendition.
        The collection is the one that the last archive run named.

        Raises:
            StorageError: The collection cannot be reached.
        """
        if not isinstance(row, Archived):
            return None
        return self.cache.get((row.source_sha256, "source"), lambda: self._source(row))

    def _source(self, row: Archived) -> U8Array | None:
        named = (run.parameters.get("source") for run in reversed(self._catalog.runs()))
        url = next((url for url in named if url is not None), None)
        try:
            data = None if url is None else unchanged_source(open_store(str(url)), row)
        except UsageError:  # of a kind of storage that this machine does not know
            return None
        if data is None:
            return None
        decode = decode_shown if row.rescaler in PACKED else decode_photo
        try:
            return decode(data, max_pixels=row.pixels).pixels
        except UnsupportedImageError:  # it has previews only
            return None

    def seen_size(self, row: CatalogRow) -> tuple[int, int]:
        """Width and height of the restored image once it is upright, without decoding pixels.

        Raises:
            NotInArchiveError: The row has no LR file.
            RefoldError: The rendition is missing or damaged, or the store fails.
        """
        found = _archived(row)
        turned = self.cache.get((found.lr_sha256, "turned"), lambda: self._orientation(found))
        return upright_size(found.width, found.height, turned)

    def _orientation(self, row: Archived) -> int:
        if row.rescaler == TRANSCODE:
            return self.opened(row).frame.orientation
        data = self.lr_file(row)
        carried = read_metadata(data).extras
        return orientation(read_extras(data).exif if "exif" in carried.native else carried.exif)

    def _open(self, row: Archived) -> OpenedLr:
        stored = self._renditions.read(row)
        return open_lr(stored.data, recorded=stored.recorded, max_pixels=stored.max_pixels)


def _archived(row: CatalogRow) -> Archived:
    """The row, if an LR file of it is stored.

    Raises:
        NotInArchiveError: There is none.
    """
    if not isinstance(row, Archived):
        raise NotInArchiveError(f"{row.source_key} at {row.target}: no LR file is stored")
    return row


def _restorable(row: CatalogRow) -> Archived:
    """The row, if its source can be restored from it.

    Raises:
        NotInArchiveError: It cannot.
    """
    if not can_be_restored(row):
        state = "a preview" if row.state == "archived" else row.state
        raise NotInArchiveError(
            f"{row.source_key} at {row.target}: {state}, so that nothing can be restored"
        )
    return row
