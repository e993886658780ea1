"""One stored rendition: read, checked, parsed and restored. All jobs do it here."""

from __future__ import annotations

from dataclasses import dataclass

from rescaling_core.metadata import RestorationMetadata
from rescaling_core.photo import Photo, RestoredFile, RestoredFormat, restored_file
from rescaling_core.restore import restore, restore_source_file
from tasks.catalog import Archived
from tasks.catalog.place import LrPlace
from tasks.models.lookup import Models
from tasks.renditions.files import read_lr
from tasks.renditions.pixels import pixel_limit
from tasks.storage import Store


@dataclass(frozen=True, slots=True)
class StoredRendition:
    """An LR file, and what the catalog says that it restores to."""

    data: bytes
    """The whole LR file."""
    recorded: RestorationMetadata
    """The catalog's copy of the metadata; the file's own where it is away from its archive."""
    models: Models
    """Gives the network that the metadata name."""
    max_pixels: int
    """Width × height above which nothing is restored."""

    def source_file(self) -> bytes | None:
        """The source's own bytes, where the LR file holds them all; None where it does not.

        Raises:
            RefoldError: It does not give back what was recorded.
        """
        return restore_source_file(self.data, recorded=self.recorded, max_pixels=self.max_pixels)

    def photo(self) -> Photo:
        """The restored photo, with all that the source carried.

        Raises:
            RefoldError: It does not agree with what was recorded.
        """
        return restore(self.data, self.models, recorded=self.recorded, max_pixels=self.max_pixels)

    def file(self, format: RestoredFormat = "png") -> RestoredFile:
        """The restored file: the source's own bytes where there are such, else of a format.

        What the source held and the format has no place for comes with it, as a zip.

        Raises:
            RefoldError: It does not agree with what was recorded.
        """
        source_file = self.source_file()
        if source_file is not None:
            return RestoredFile(data=source_file, extension="")
        return restored_file(self.photo(), format=format)


class Renditions:
    """Reads the renditions of one archive, for the life of a worker process."""

    def __init__(self, archive: Store, models: Models | None = None) -> None:
        """Look up how large a restoration of this archive may be.

        Args:
            archive: Where they lie.
            models: Gives the networks that records name; by default those of the archive, in
                float32, as what is measured or decided by needs it.

        Raises:
            StorageError: The store failed.
        """
        self._archive = archive
        self._models = models or Models(archive)
        self._max_pixels = pixel_limit(archive)

    def read(self, row: Archived) -> StoredRendition:
        """Read the rendition that a row of the catalog names.

        Raises:
            ObjectNotFoundError: There is no such object.
            RestorationMismatchError: Its bytes are not those that were archived.
            MetadataError: The row holds no restoration metadata that can be read.
            StorageError: The store failed.
        """
        return self.read_at(row.place, row.metadata_json or "")

    def read_at(self, place: LrPlace, metadata_json: str) -> StoredRendition:
        """As `read`, for those who were told only these columns of the row."""
        data = read_lr(self._archive, place)
        recorded = RestorationMetadata.from_json(metadata_json)
        return StoredRendition(data, recorded, self._models, self._max_pixels)
