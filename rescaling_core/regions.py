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
from rescaling_core.pixels import differences
from rescaling_core.pixels.area import Area
from rescaling_core.pixels.grey import as_grey
from rescaling_core.pixels.tiles import cut
from rescaling_core.plan import AS_STORED
from rescaling_core.rescale.decoded import DEFAULT_TILE, restore_decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
    make_tiles = _filtered_tiles if record.is_filtered else _summed_tiles
    return _put_together(make_tiles(opened, models, remember), area, record.channels)


def _put_together(tiles: Iterable[_Tile], area: Area, channels: int) -> U8Array:
    """The pixels of an area, from those tiles that have some of them."""
    pixels = np.empty((area.height, area.width, channels), np.uint8)
    for tile in tiles:
        shared = area.shared(tile.rows, tile.columns)
        if shared is None:
            continue
        inside = Area(
            shared.left - tile.columns.start,
            shared.top - tile.rows.start,
            shared.width,
            shared.height,
        )
        target = Area(shared.left - area.left, shared.top - area.top, shared.width, shared.height)
        pixels[target.rows, target.columns] = tile.make()[inside.rows, inside.columns]
    return pixels


@dataclass(frozen=True, slots=True)
class _Tile:
    """Pixels of the HR image that are made together."""

    rows: slice
    columns: slice
    make: Callable[[], U8Array]
    is_stored: bool = False
    """Whether making it takes no network."""

    def made_by(self, make: Callable[[], U8Array], name: str, remember: Remember) -> _Tile:
        """The same pixels, made otherwise, and only once if it takes long."""
        if not self.is_stored:
            make = partial(remember, name, make)
        return replace(self, make=make)


def _summed_tiles(opened: OpenedLr, models: Models, remember: Remember) -> Iterator[_Tile]:
    """The grid that the photo was measured with, the residual added."""
    for number, tile in enumerate(_tiles(opened, models)):
        make = partial(_summed, opened, tile, remember)
        yield tile.made_by(make, f"tile {number}", remember)


def _summed(opened: OpenedLr, tile: _Tile, remember: Remember) -> U8Array:
    pixels = _grey_or_colour(opened, tile)
    if opened.metadata.residual is None:
        return pixels
    missing = remember("residual", opened.residual)
    assert missing is not None
    return differences.add(pixels, missing[tile.rows, tile.columns])


def _grey_or_colour(opened: OpenedLr, tile: _Tile) -> U8Array:
    pixels = tile.make()
    return as_grey(pixels) if opened.metadata.channels == 1 else pixels


def _filtered_tiles(opened: OpenedLr, models: Models, remember: Remember) -> Iterator[_Tile]:
    """The grid of the final filter, each tile from the enlarged ones that it sees."""
    behind = opened.restorer(models)
    assert behind is not None
    assert behind[0].final is not None
    network = behind[0].final.network
    record = opened.metadata
    enlarged = [
        tile.made_by(partial(_grey_or_colour, opened, tile), f"enlarged {number}", remember)
        for number, tile in enumerate(_tiles(opened, models))
    ]

    def filtered(spot: _Spot) -> U8Array:
        area = Area(
            spot.seen[1].start,
            spot.seen[0].start,
            spot.seen[1].stop - spot.seen[1].start,
            spot.seen[0].stop - spot.seen[0].start,
        )
        base = _put_together(enlarged, area, record.channels)
        missing = remember("residual", opened.residual)
        assert missing is not None
        total = differences.add(base, missing[spot.seen])
        return residual.filtered(network, base, total, record, tile=max(total.shape))[spot.inner]

    for number, spot in enumerate(_spots(network, (record.height, record.width))):
        tile = _Tile(*spot.owned, partial(filtered, spot))
        yield tile.made_by(tile.make, f"tile {number}", remember)


def _tiles(opened: OpenedLr, models: Models) -> Iterator[_Tile]:
    """The grid that the photo was measured with: what the network gives, or the decoder."""
    record = opened.metadata
    if (behind := opened.restorer(models)) is not None:
        loaded, quality = behind
        yield from _decoded_tiles(opened, loaded.network, quality)
        return
    if record.rescaler not in AS_STORED:
        restoration = opened.restoration(models)
        for part in restoration.parts:
            yield _Tile(part.rows, part.columns, partial(restoration.part, part))
        return
    height, width, _ = opened.lr.shape
    yield _Tile(slice(0, height), slice(0, width), lambda: opened.lr, is_stored=True)


def _decoded_tiles(opened: OpenedLr, network: Restorer, quality: float) -> Iterator[_Tile]:
    """The tiles that `restore_decoded` cuts the decoded picture into."""
    record = opened.metadata

    def restored(spot: _Spot) -> U8Array:
        seen = opened.lr[spot.seen]
        return restore_decoded(seen, quality, network, tile=max(seen.shape))[spot.inner]

    for spot in _spots(network, (record.height, record.width)):
        yield _Tile(*spot.owned, partial(restored, spot))


@dataclass(frozen=True, slots=True)
class _Spot:
    """One tile of those that `restore_decoded` cuts a picture into: rows, and columns."""

    seen: tuple[slice, slice]
    """Of the picture that is given."""
    owned: tuple[slice, slice]
    """Of the restored one."""
    inner: tuple[slice, slice]
    """Of what is made of the pixels that are seen, those that are owned."""


def _spots(network: Restorer, size: tuple[int, int]) -> Iterator[_Spot]:
    """How `restore_decoded` cuts a picture whose restoration has a size, (height, width)."""
    fold, scale = network.fold, network.scale
    step, around = max(1, DEFAULT_TILE // fold), network.halo // fold
    height, width = (ceil(side / (fold * scale)) for side in size)
    given = tuple(ceil(side / scale) for side in size)
    for tile in cut(height, width, step, around):
        seen, owned, inner = [], [], []
        for span, side, full in zip((tile.rows, tile.columns), given, size, strict=True):
            visible, out = span.seen(fold), span.owned(fold * scale)
            seen.append(slice(visible.start, min(visible.stop, side)))
            owned.append(slice(out.start, min(out.stop, full)))
            start = span.inner(fold * scale).start
            inner.append(slice(start, start + owned[-1].stop - owned[-1].start))
        yield _Spot((seen[0], seen[1]), (owned[0], owned[1]), (inner[0], inner[1]))


def _scale(opened: OpenedLr) -> float:
    """HR side / side of the decoded image."""
    record = opened.metadata
    return 1.0 if record.rescaler in AS_STORED else record.scale


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
