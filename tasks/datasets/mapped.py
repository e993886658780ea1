"""An archive as a dataset that is asked for its images by number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import index as whole_number
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.utils.data import Dataset

from rescaling_core.errors import RefoldError, UsageError
from tasks.catalog import open_catalog
from tasks.datasets.index import Entry, index_of
from tasks.datasets.reader import Reader, Size, three_planes
from tasks.renditions.pixels import pixel_limit
from tasks.storage import open_store


class SampleError(RefoldError):
    """An image of a dataset that cannot be read; the message begins with its key."""


class Sample(TypedDict):
    """What a dataset gives for one image."""

    key: str
    """Of the source."""
    image: Any
    """uint8, (3, H, W), 0 to 255, upright; or what `transform` made of it."""


class ArchiveDataset(Dataset[Sample]):
    """The images of an archive, by number, in the order of their keys.

    For torch's DataLoader, which may fork or spawn workers; `__getitems__` reads the files of a
    batch from the store at once. What is read is checked as `refold restore` checks it (a cut of
    the middle as a region is), and an image that does not pass is an error that names it.
    """

    def __init__(
        self,
        url: str,
        *,
        where: str | None = None,
        size: Size = "lr",
        target: str | None = None,
        transform: Callable[[Tensor], Any] | None = None,
    ) -> None:
        """Read the catalog, once; images are read when they are asked for.

        Args:
            url: URL or path of the archive.
            where: SQL condition on the columns of the catalog, which the row of the rendition that
                is read has to fulfil.
            size: `"lr"` for the LR images as they are stored (previews where nothing else is
                there), `"hr"` for the whole restored images, or (width, height): the largest part
                of that shape from the middle of each, resized to it. Such a part is made from the
                LR image where that is large enough, else from the tiles that it needs.
            target: Only renditions of this target; by default, of each source, the one measured
                best.
            transform: Applied to each image, such as those of `torchvision.transforms.v2`.

        Raises:
            UsageError: No archive there, a wrong condition or size, or no image fulfils it.
            StorageError: The store cannot be reached.
        """
        _check_size(size)
        archive = open_store(url)
        catalog = open_catalog(archive, create=False)
        self.index = index_of(catalog, where, target, previews_too=size == "lr")
        self._reader = Reader(url, size, pixel_limit(archive))
        self._transform = transform

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.index)

    def source_keys(self) -> Iterator[str]:
        """The keys of all images, by their numbers."""
        for batch in self.index.table.column("source_key").chunks:
            yield from batch.to_pylist()

    def __getitem__(self, at: int) -> Sample:
        """One image.

        Raises:
            IndexError: There are not so many.
            SampleError: It cannot be read.
        """
        (sample,) = self.__getitems__([at])
        return sample

    def __getitems__(self, numbers: Sequence[int]) -> list[Sample]:
        """Several images, whose files are read at once.

        Raises:
            IndexError: There are not so many.
            SampleError: One of them cannot be read.
        """
        samples = list(self.read(map(self._entry, numbers), ahead=len(numbers)))
        for sample in samples:
            if isinstance(sample, SampleError):
                raise sample
        return [sample for sample in samples if not isinstance(sample, SampleError)]

    def read(self, entries: Iterable[Entry], *, ahead: int) -> Iterator[Sample | SampleError]:
        """Images one after the other, errors among them, with files read ahead.

        Args:
            entries: Which.
            ahead: How many files are read before their turn.
        """
        source = iter(entries)
        waiting: list[tuple[Entry, Callable[[], bytes]]] = []
        while True:
            missing = list(islice(source, max(1, ahead) - len(waiting)))
            waiting += zip(missing, self._reader.fetch(missing), strict=True)
            if not waiting:
                return
            yield self._made(*waiting.pop(0))

    def _made(self, entry: Entry, data: Callable[[], bytes]) -> Sample | SampleError:
        try:
            pixels = self._reader.pixels(data())
        except RefoldError as error:
            refusal = SampleError(f"{entry.source_key} at {entry.target}: {error}")
            refusal.retryable = error.retryable
            refusal.__cause__ = error
            return refusal
        image: Any = torch.from_numpy(three_planes(pixels))
        if self._transform is not None:
            image = self._transform(image)
        return Sample(key=entry.source_key, image=image)

    def _entry(self, at: int) -> Entry:
        number = whole_number(at)
        if not -len(self) <= number < len(self):
            raise IndexError(f"image {number}: the dataset has {len(self)}")
        return self.index[number % len(self)]


def _check_size(size: Size) -> None:
    """Refuse a size that is none.

    Raises:
        UsageError: It is neither of the words, nor two sides.
    """
    if size in ("lr", "hr"):
        return
    sides = size if isinstance(size, tuple | list) else ()
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise UsageError(f'size {size!r}: "lr", "hr", or (width, height) in pixels')
