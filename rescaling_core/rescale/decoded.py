"""Whole decoded pictures through a restorer: 8-bit pixels in, 8-bit pixels out, tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.engine.restorers import restorer_engine_for
from rescaling_core.pixels.tiles import cut, for_all_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.networks.restorer import Restorer
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.pixels.tiles import Tile

DEFAULT_TILE: Final = 512
"""Given pixels on a side that one pass is responsible for."""


def restore_decoded(
    pixels: U8Array,
    quality: float,
    restorer: Restorer,
    *,
    beside: Sequence[tuple[U8Array, float]] = (),
    tile: int = DEFAULT_TILE,
) -> U8Array:
    """Improve what a decoder gave, or enlarge it if the restorer does.

    Where the picture is cut changes single levels at most: a tile sees `Restorer.halo` pixels
    beyond what it is responsible for, which is all that its result depends on.

    Args:
        pixels: (H, W, C), C = 3, or 1 for grey.
        quality: What the picture was coded at, in its codec's own scale.
        restorer: One that was trained for this codec at these settings.
        beside: Further pictures of the same size and their qualities, for a restorer that sees
            several; they come before `pixels`.
        tile: Given pixels on a side that one pass is responsible for. What does not fit into
            memory is cut further.

    Returns:
        (scale · H, scale · W, C).

    Raises:
        ValueError: The restorer sees another number of pictures, or their sizes differ.
        torch.OutOfMemoryError: Not even small tiles fit.
    """
    pictures = [*beside, (pixels, quality)]
    if len(pictures) != restorer.pictures:
        raise ValueError(f"the restorer sees {restorer.pictures} pictures, not {len(pictures)}")
    if any(picture.shape != pixels.shape for picture, _ in pictures):
        raise ValueError(f"all pictures must have the shape of the last, {pixels.shape}")
    qualities = [one for _, one in pictures]
    fold, scale = restorer.fold, restorer.scale
    given = [_prepared(picture, fold) for picture, _ in pictures]
    height, width, _ = given[0].shape
    restored = np.empty((scale * height, scale * width, pixels.shape[2]), np.uint8)
    engine = restorer_engine_for(restorer)

    def work(part: Sequence[Tile]) -> None:
        for one in part:
            seen = [picture[one.rows.seen(fold), one.columns.seen(fold)] for picture in given]
            result = engine.restore(np.concatenate(seen, axis=2), qualities)
            step = fold * scale
            inner = result[one.rows.inner(step), one.columns.inner(step)]
            restored[one.rows.owned(step), one.columns.owned(step)] = _channels(inner, restored)

    tiles = cut(height // fold, width // fold, max(1, tile // fold), restorer.halo // fold)
    for_all_tiles(tiles, 1, work)
    return restored[: scale * pixels.shape[0], : scale * pixels.shape[1]]


def _prepared(picture: U8Array, fold: int) -> U8Array:
    """Three channels, and the right and bottom edge repeated up to a multiple of `fold`."""
    height, width, channels = picture.shape
    if channels == 1:
        picture = np.broadcast_to(picture, (height, width, 3))
    missing = ((0, -height % fold), (0, -width % fold), (0, 0))
    return np.pad(picture, missing, mode="edge") if height % fold or width % fold else picture


def _channels(result: U8Array, like: U8Array) -> U8Array:
    """Grey is the mean of the three channels."""
    if like.shape[2] == 3:
        return result
    return np.asarray(np.round(result.mean(axis=2, keepdims=True)), np.uint8)
