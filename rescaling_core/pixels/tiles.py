"""How a large image is cut into tiles with context around them, and what runs out of memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SMALLEST: Final = 16
"""Side, in LR pixels, below which a tile is not cut again when memory runs short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How an image that is too large for one pass is cut.

    Recorded with every rendition, since restoration has to cut the same way to give the very
    same pixels.
    """

    tile: int = 1024
    """Side, in HR pixels, of the square that one pass computes; 0 for the whole at once."""
    overlap: int = 32
    """Width, in LR pixels, of the context around a tile; the networks see about this far."""

    def step(self, lr_size: tuple[int, int], scale: float) -> int:
        """Side, in LR pixels, that a tile owns of an LR image of (h, w)."""
        return max(1, int(self.tile / scale)) if self.tile else max(lr_size)


DEFAULT_TILING = Tiling()


@dataclass(frozen=True, slots=True)
class Span:
    """A run of LR pixels along one axis: what a tile owns, and what it sees."""

    start: int
    stop: int
    length: int
    """Length of the whole axis, in pixels."""
    overlap: int

    @property
    def seen_start(self) -> int:
        """The first LR pixel seen."""
        return max(0, self.start - self.overlap)

    @property
    def seen_stop(self) -> int:
        """The LR pixel behind the last one seen."""
        return min(self.length, self.stop + self.overlap)

    def owned(self, scale: int = 1) -> slice:
        """The owned pixels, counted within the whole image."""
        return slice(self.start * scale, self.stop * scale)

    def seen(self, scale: int = 1) -> slice:
        """The seen pixels, counted within the whole image."""
        return slice(self.seen_start * scale, self.seen_stop * scale)

    def inner(self, scale: int = 1) -> slice:
        """The owned pixels, counted within the seen ones."""
        return slice((self.start - self.seen_start) * scale, (self.stop - self.seen_start) * scale)

    def halves(self) -> tuple[Span, Span]:
        """Two spans that own this one's pixels, the middle rounded up."""
        middle = (self.start + self.stop + 1) // 2
        return replace(self, stop=middle), replace(self, start=middle)


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of LR pixels."""

    rows: Span
    columns: Span

    @property
    def seen_size(self) -> tuple[int, int]:
        """LR pixels seen, down and across."""
        return (
            self.rows.seen_stop - self.rows.seen_start,
            self.columns.seen_stop - self.columns.seen_start,
        )

    def halves(self) -> tuple[Tile, Tile] | None:
        """Two tiles in place of this one, cut across its longer side; None if it is small."""
        height = self.rows.stop - self.rows.start
        width = self.columns.stop - self.columns.start
        if max(height, width) <= SMALLEST:
            return None
        if height >= width:
            first, second = self.rows.halves()
            return replace(self, rows=first), replace(self, rows=second)
        first, second = self.columns.halves()
        return replace(self, columns=first), replace(self, columns=second)


def cut(h: int, w: int, step: int, overlap: int) -> list[Tile]:
    """Cut an LR image of (h, w) into tiles that together own every pixel once.

    Args:
        h: LR rows.
        w: LR columns.
        step: LR pixels that a tile owns on a side, at most.
        overlap: LR pixels of context on each side, where there are any.
    """
    columns = list(_spans(w, step, overlap))
    return [Tile(row, column) for row in _spans(h, step, overlap) for column in columns]


def for_all_tiles(
    tiles: Sequence[Tile], batch: int, work: Callable[[Sequence[Tile]], None]
) -> None:
    """Do the work for all tiles, those of one shape together, as far as memory reaches.

    A batch that does not fit is cut into halves, then its tiles are. What they own and how far
    they see stays, so the pixels that come out are the same but for rounding.

    Args:
        tiles: In any order.
        batch: Tiles of one shape to work on together, at most.
        work: Called with tiles of one shape. May be called again with tiles it failed for.

    Raises:
        torch.OutOfMemoryError: Even the smallest tile does not fit.
    """
    waiting: list[Sequence[Tile]] = []
    for _, group in groupby(sorted(tiles, key=_shape), _shape):
        alike = list(group)
        waiting += [alike[at : at + batch] for at in range(0, len(alike), batch)]
    while waiting:
        part = waiting.pop()
        try:
            work(part)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            smaller = _smaller(part)
            if smaller is None:
                raise
        else:
            continue
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        waiting.extend(smaller)


def _shape(tile: Tile) -> tuple[int, int]:
    return tile.seen_size


def _smaller(part: Sequence[Tile]) -> list[Sequence[Tile]] | None:
    if len(part) > 1:
        middle = len(part) // 2
        return [part[:middle], part[middle:]]
    halves = part[0].halves()
    return None if halves is None else [[half] for half in halves]


def _is_out_of_memory(error: Exception) -> bool:
    """Torch has an error of its own on devices; on a CPU its allocator raises a plain one."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return "can't allocate memory" in text or "bad_alloc" in text


def _spans(length: int, step: int, overlap: int) -> Iterator[Span]:
    for start in range(0, length, step):
        yield Span(start, min(start + step, length), length, overlap)
