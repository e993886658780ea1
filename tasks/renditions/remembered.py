"""What was made of one LR file before: pixels that are kept in memory, tiles on a disk as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

from rescaling_core.pixels.arrays import U8Array
from tasks.renditions.cache import ByteCache
from tasks.renditions.tile_folder import TileFolder

Made = TypeVar("Made")


class NotKeptError(LookupError):
    """It would have to be made, and only what was made before was asked for."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The part of a cache that is about one LR file; nothing is made."""

    cache: ByteCache
    digest: str
    folder: TileFolder | None

    def __call__(self, name: str, _make: Callable[[], Made], /) -> Made:
        """Give what is kept under a name.

        Raises:
            NotKeptError: Nothing is.
        """
        found = self.cache.kept((self.digest, name))
        if found is None and self.folder is not None and name.startswith("tile "):
            pixels = self.folder.kept(f"{self.digest} {name}")
            if pixels is not None:
                found = self.cache.get((self.digest, name), lambda: pixels)
        if found is None:
            raise NotKeptError(f"{name} of {self.digest} is not kept")
        return cast("Made", found)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The part of a cache that is about one LR file."""

    cache: ByteCache
    digest: str
    folder: TileFolder | None

    def __call__(self, name: str, make: Callable[[], Made], /) -> Made:
        """Give what is kept under a name, or make it and keep it."""
        folder = self.folder
        if folder is None or not name.startswith("tile "):
            return self.cache.get((self.digest, name), make)
        pixels = cast("Callable[[], U8Array]", make)
        kept = self.cache.get(
            (self.digest, name), lambda: folder.get(f"{self.digest} {name}", pixels)
        )
        return cast("Made", kept)
