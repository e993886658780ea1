"""Reads the images of a dataset, with what is opened by the process that reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from rescaling_core import codecs, metadata
from rescaling_core.codecs import read_extras
from rescaling_core.containers.exif import orientation
from rescaling_core.errors import RestorationMismatchError
from rescaling_core.metadata import read_metadata
from rescaling_core.metadata.checks import check_pixels
from rescaling_core.opened import open_lr
from rescaling_core.pixels.area import Area, as_stored, upright, upright_size
from rescaling_core.pixels.arrays import U8Array
from rescaling_core.plan import PACKED
from rescaling_core.regions import view
from rescaling_core.restore import restore_whole
from tasks.datasets.index import Entry
from tasks.models.lookup import Models
from tasks.renditions.files import read_lr
from tasks.storage import Store, open_store

Size = Literal["lr", "hr"] | tuple[int, int]
"""The LR image as it is stored, the whole restored image, or (width, height) of a cut from its
middle."""

FETCHES: Final = 16
"""LR files that a process reads from the store at once."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a process has open; another process does not use it."""

    process: int
    store: Store
    models: Models
    threads: ThreadPoolExecutor


class Reader:
    """Gives the pixels of entries. It travels to other processes as what it was made with."""

    def __init__(self, url: str, size: Size, max_pixels: int) -> None:
        """Nothing is opened yet.

        Args:
            url: Of the archive.
            size: Of the images that are given.
            max_pixels: Width × height above which nothing is restored.
        """
        self.url, self._size, self._max_pixels = url, size, max_pixels
        self._opened: _Opened | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel without what is open."""
        return Reader, (self.url, self._size, self._max_pixels)

    def _here(self) -> _Opened:
        if self._opened is None or self._opened.process != os.getpid():
            store = open_store(self.url)
            threads = ThreadPoolExecutor(FETCHES, thread_name_prefix="archive-dataset")
            self._opened = _Opened(os.getpid(), store, Models.for_reading(store), threads)
        return self._opened

    def fetch(self, entries: Sequence[Entry]) -> Iterator[Callable[[], bytes]]:
        """Begin to read some LR files at once; each is waited for by calling what is given.

        What is called raises `RefoldError` where the object is missing, damaged, or out of reach.
        """
        opened = self._here()
        for entry in entries:
            yield opened.threads.submit(read_lr, opened.store, entry.place).result

    def pixels(self, data: bytes) -> U8Array:
        """The image of an LR file, upright, (H, W, C).

        Raises:
            RefoldError: It does not agree with what was recorded, or its network is missing.
        """
        size = self._size
        if size == "lr":
            return self._stored(data)
        models = self._here().models
        opened = open_lr(data, max_pixels=self._max_pixels)
        turned = opened.frame.orientation
        if size == "hr":
            return upright(restore_whole(opened, models).pixels, turned)
        width, height = opened.metadata.width, opened.metadata.height
        middle = middle_of(upright_size(width, height, turned), size)
        area = as_stored(middle, width, height, turned)
        photo = view(opened, models, area, upright_size(*size, turned))
        return upright(photo.pixels, turned)

    def _stored(self, data: bytes) -> U8Array:
        record = read_metadata(data)
        if not record.is_preview and record.rescaler not in PACKED:
            opened = open_lr(data, max_pixels=self._max_pixels)
            return upright(opened.lr, opened.frame.orientation)
        check_pixels(record, self._max_pixels)
        lr_pixels = record.lr_width * record.lr_height
        lr = codecs.decode(data, channels=record.lr_planes, max_pixels=lr_pixels)
        if not metadata.pixels_agree(lr, record.lr_pixels_sha256):
            raise RestorationMismatchError("the LR pixels are not those that were archived")
        return upright(lr, orientation(read_extras(data).exif))


def middle_of(image: tuple[int, int], shape: tuple[int, int]) -> Area:
    """The largest area of an image that has the shape of another, in its middle.

    Args:
        image: Width and height.
        shape: Width and height of what the area is to be resized to.
    """
    width, height = image
    wide, high = shape
    if width * high > height * wide:
        across, down = max(1, round(height * wide / high)), height
    else:
        across, down = width, max(1, round(width * high / wide))
    across, down = min(across, width), min(down, height)
    return Area((width - across) // 2, (height - down) // 2, across, down)


def three_planes(pixels: U8Array) -> U8Array:
    """(3, H, W) of (H, W, C): images of one batch have one number of planes."""
    colour = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    return np.ascontiguousarray(colour.transpose(2, 0, 1))
