"""The restored pixels of an area, from the tiles that it needs.

Every tile is one of those that the whole photo was cut into when it was measured, so that its
pixels are the same. A layered file has two grids: that of the enlarged image, and on top of it
that of the final filter, whose tiles see some of the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from rescaling_core.convert import residual
from rescaling_core.fitted import REACH, filtered
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
    from rescaling_core.pixels.arrays import U8Array

Made = TypeVar("Made")


class Remember(Protocol):
    """Gives what was made before for a name, or makes it."""

    def __call__(self, name: str, make: Callable[[], Made], /) -> Made:
        """What `make` gives, or gave when this name was asked for before."""


def forget(_name: str, make: Callable[[], Made], /) -> Made:
    """Remember nothing."""
    return make()


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
    tiles = make_tiles(opened, models, remember)
    if record.fitted is None:
        return _put_together(tiles, area, record.channels)
    seen = _with_surroundings(area, record.width, record.height)
    pixels = filtered(_put_together(tiles, seen, record.channels), record.fitted)
    top, left = area.top - seen.top, area.left - seen.left
    return pixels[top : top + area.height, left : left + area.width]


def _with_surroundings(area: Area, width: int, height: int) -> Area:
    """What a fitted filter sees of a photo, to make an area of it."""
    left, top = max(0, area.left - REACH), max(0, area.top - REACH)
    right, bottom = min(width, area.right + REACH), min(height, area.bottom + REACH)
    return Area(left, top, right - left, bottom - top)


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
