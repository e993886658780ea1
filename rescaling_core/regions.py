"""Parts of a photo, restored from the tiles that they need, and smaller sizes of it.

A region is put together from whole tiles of the grid that the photo was measured with, so that
its pixels are those of the whole restoration. The LR pixels, the weights and the residual are
checked against what was recorded; the fingerprint is of the whole image, and only that is checked
by it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import ceil, floor
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import numpy as np
from PIL import Image

from rescaling_core.convert import residual
from rescaling_core.errors import UsageError
from rescaling_core.pixels.area import Area
from rescaling_core.pixels.grey import as_grey
from rescaling_core.pixels.tiles import cut
from rescaling_core.plan import FULL_SIZE, TRANSCODE
from rescaling_core.rescale.decoded import DEFAULT_TILE, restore_decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rescaling_core.convert import Models
    from rescaling_core.networks.restorer import Restorer
    from rescaling_core.opened import OpenedLr
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array

Made = TypeVar("Made")

_REACH: Final = 4
"""Pixels of the smaller image that a resampling filter looks beyond what it is asked for."""


class Remember(Protocol):
    """Gives what was made before for a name, or makes it."""

    def __call__(self, name: str, make: Callable[[], Made], /) -> Made:
        """What `make` gives, or gave when this name was asked for before."""


def forget(_name: str, make: Callable[[], Made], /) -> Made:
    """Remember nothing."""
    return make()


def view(
    opened: OpenedLr,
    models: Models,
    region: Area | None = None,
    size: tuple[int, int] | None = None,
    *,
    remember: Remember = forget,
) -> Photo:
    """A region of a photo, at some size.

    Args:
        opened: The LR file.
        models: Gives the networks that its metadata name.
        region: Of the photo as stored; all of it by default.
        size: (width, height) of the result; by default the region's own. A size at or below that
            of the LR image is made from it, without a network.
        remember: Keeps tiles and residuals for the next call about this LR file.

    Returns:
        Pixels and alpha of the region, with all else that the source carried.

    Raises:
        UsageError: The region does not lie within the photo, or the size is not one.
        RestorationMismatchError: The weights or the residual are not those that were measured.
        WeightsNotFoundError: `models` has no weights of that digest.
    """
    record = opened.metadata
    area = region or Area(0, 0, record.width, record.height)
    area.check_within(record.width, record.height)
    width, height = wanted = size or (area.width, area.height)
    if width < 1 or height < 1:
        raise UsageError(f"size {width} x {height}: both sides are at least 1")
    if is_in_lr(opened, area, wanted):
        pixels = _from_lr(opened, area, wanted)
    else:
        pixels = _resized(restored_area(opened, models, area, remember=remember), wanted)
    alpha = opened.frame.alpha
    if alpha is not None:
        alpha = _resized(alpha[area.rows, area.columns, None], wanted)[..., 0]
    return replace(opened.frame, pixels=pixels, alpha=alpha)


def is_in_lr(opened: OpenedLr, area: Area, size: tuple[int, int]) -> bool:
    """Whether an area at this size, (width, height), is made from the LR image."""
    record = opened.metadata
    if opened.lr.shape[2] < record.channels:  # its colours are hidden
        return False
    width, height = size
    scale = _scale(opened)
    if width > ceil(area.width / scale) or height > ceil(area.height / scale):
        return False
    # A single pixel is as large in both images, and meant is that of the restoration.
    return size != (area.width, area.height) or (record.is_as_stored and record.residual is None)


def enlarged_lr(opened: OpenedLr, area: Area, size: tuple[int, int]) -> U8Array:
    """An area of the LR image at some size, enlarged by a bicubic filter and nothing else.

    It is what a viewer sees who has only the LR image, to compare a restoration with.

    Args:
        opened: The LR file.
        area: Of the photo as stored.
        size: (width, height) of the result.

    Raises:
        UsageError: The area does not lie within the photo.
    """
    area.check_within(opened.metadata.width, opened.metadata.height)
    h, w, _ = opened.lr.shape
    scale = _scale(opened)
    right, bottom = min(w, area.right / scale), min(h, area.bottom / scale)
    box = (area.left / scale, area.top / scale, right, bottom)
    return _resized(opened.lr, size, box, Image.Resampling.BICUBIC)


def restored_area(
    opened: OpenedLr, models: Models, area: Area, *, remember: Remember = forget
) -> U8Array:
    """The restored pixels of an area, (rows, columns, C), from the tiles that it needs.

    Raises:
        UsageError: The area does not lie within the photo.
        RestorationMismatchError: The weights or the residual are not those that were measured.
        WeightsNotFoundError: `models` has no weights of that digest.
    """
    record = opened.metadata
    area.check_within(record.width, record.height)
    pixels = np.empty((area.height, area.width, record.channels), np.uint8)
    for number, tile in enumerate(_tiles(opened, models)):
        shared = area.shared(tile.rows, tile.columns)
        if shared is None:
            continue
        if tile.is_stored:
            made = _finished(opened, tile, remember)
        else:
            made = remember(f"tile {number}", partial(_finished, opened, tile, remember))
        inside = Area(
            shared.left - tile.columns.start,
            shared.top - tile.rows.start,
            shared.width,
            shared.height,
        )
        target = Area(shared.left - area.left, shared.top - area.top, shared.width, shared.height)
        pixels[target.rows, target.columns] = made[inside.rows, inside.columns]
    return pixels


@dataclass(frozen=True, slots=True)
class _Tile:
    """Pixels of the HR image that are made together."""

    rows: slice
    columns: slice
    make: Callable[[], U8Array]
    """Without the residual, and with as many planes as the network gives."""
    is_stored: bool = False
    """Whether making it takes no network."""


def _finished(opened: OpenedLr, tile: _Tile, remember: Remember) -> U8Array:
    """A tile as it is in the restored photo."""
    pixels = tile.make()
    if opened.metadata.channels == 1:
        pixels = as_grey(pixels)
    if opened.metadata.residual is None:
        return pixels
    missing = remember("residual", opened.residual)
    assert missing is not None
    return residual.add(pixels, missing[tile.rows, tile.columns])


def _tiles(opened: OpenedLr, models: Models) -> Iterator[_Tile]:
    """The grid that the photo was measured with."""
    record = opened.metadata
    if record.rescaler not in (FULL_SIZE, TRANSCODE):
        restoration = opened.restoration(models)
        for part in restoration.parts:
            yield _Tile(part.rows, part.columns, partial(restoration.part, part))
        return
    if (behind := opened.restorer(models)) is not None:
        yield from _decoded_tiles(opened.lr, *behind)
        return
    height, width, _ = opened.lr.shape
    yield _Tile(slice(0, height), slice(0, width), lambda: opened.lr, is_stored=True)


def _decoded_tiles(lr: U8Array, network: Restorer, quality: float) -> Iterator[_Tile]:
    """The tiles that `restore_decoded` cuts a picture into, for a restorer at scale 1."""
    fold = network.fold
    height, width, _ = lr.shape
    step, around = max(1, DEFAULT_TILE // fold), network.halo // fold
    for tile in cut(ceil(height / fold), ceil(width / fold), step, around):
        rows, columns = tile.rows.owned(fold), tile.columns.owned(fold)
        rows, columns = (
            slice(rows.start, min(rows.stop, height)),
            slice(columns.start, min(columns.stop, width)),
        )
        seen = lr[tile.rows.seen(fold), tile.columns.seen(fold)]
        inner = (tile.rows.inner(fold), tile.columns.inner(fold))
        yield _Tile(rows, columns, partial(_decoded_tile, seen, inner, network, quality))


def _decoded_tile(
    seen: U8Array, inner: tuple[slice, slice], network: Restorer, quality: float
) -> U8Array:
    """A tile, made in one pass from what it sees."""
    return restore_decoded(seen, quality, network, tile=max(seen.shape))[inner]


def _scale(opened: OpenedLr) -> float:
    """HR side / side of the decoded image."""
    record = opened.metadata
    return 1.0 if record.rescaler in (FULL_SIZE, TRANSCODE) else record.scale


def _from_lr(opened: OpenedLr, area: Area, size: tuple[int, int]) -> U8Array:
    """An area at a size that the LR image suffices for."""
    pixels = _resized(opened.lr, size, _box(opened, area))
    return as_grey(pixels) if opened.metadata.channels == 1 else pixels


def _box(opened: OpenedLr, area: Area) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of an area in the LR image."""
    scale, record = _scale(opened), opened.metadata
    h, w, _ = opened.lr.shape
    # Where the HR side is not a multiple of the scale, the last LR pixel reaches beyond it.
    right = w if area.right == record.width else min(w, area.right / scale)
    bottom = h if area.bottom == record.height else min(h, area.bottom / scale)
    return area.left / scale, area.top / scale, right, bottom


def resized(pixels: U8Array, size: tuple[int, int]) -> U8Array:
    """(H, W, C) at (width, height), by Lanczos' filter."""
    return _resized(pixels, size)


def _resized(
    pixels: U8Array,
    size: tuple[int, int],
    box: tuple[float, float, float, float] | None = None,
    by: Image.Resampling = Image.Resampling.LANCZOS,
) -> U8Array:
    """Resample a box of (H, W, C), all of it by default, to (width, height)."""
    height, width, _ = pixels.shape
    left, top, right, bottom = box or (0.0, 0.0, float(width), float(height))
    across = _REACH * max(1.0, (right - left) / size[0])
    down = _REACH * max(1.0, (bottom - top) / size[1])
    x, y = max(0, floor(left - across)), max(0, floor(top - down))
    near = pixels[y : min(height, ceil(bottom + down)), x : min(width, ceil(right + across))]
    image = Image.fromarray(np.ascontiguousarray(near[..., 0] if near.shape[2] == 1 else near))
    resized = image.resize(size, by, box=(left - x, top - y, right - x, bottom - y))
    samples = np.asarray(resized)
    return samples[..., None] if samples.ndim == 2 else samples
