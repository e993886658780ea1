"""Whole images downscaled: 8-bit pixels in, 8-bit pixels out, in bounded memory."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np
import torch

from rescaling_core.engine import engine_for
from rescaling_core.networks.base import ResamplingRescaler, Rescaler, Window
from rescaling_core.networks.bijective import BijectiveRescaler
from rescaling_core.networks.bijective import pad_to_multiple as pad
from rescaling_core.pixels.tiles import DEFAULT_TILING, Tile, Tiling, cut, for_all_tiles
from rescaling_core.rescale.samples import as_pixels, as_tensor, device_of, lr_channels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.pixels.tiles import Span

__all__ = ["DEFAULT_TILING", "Tiling", "downscale_pixels"]


def downscale_pixels(
    rescaler: Rescaler, pixels: U8Array, scale: float, *, tiling: Tiling = DEFAULT_TILING
) -> U8Array:
    """Make the LR image of a photo.

    Args:
        rescaler: Any rescaler whose scales include `scale`.
        pixels: (H, W, C), C = 1 (grey) or 3 (RGB).
        scale: HR side / LR side.
        tiling: Where to cut large images. What does not fit into memory is cut further.

    Returns:
        (h, w, C), rounded to 8 bits: what the codec gets. C is 1 if the rescaler hides colours in
        a grey image.

    Raises:
        UsageError: The rescaler was not made for this scale.
        torch.OutOfMemoryError: Not even small tiles fit.
    """
    rescaler.check_scale(scale)
    height, width, channels = pixels.shape
    channels = min(channels, lr_channels_of(rescaler))
    h, w = rescaler.lr_size((height, width), scale)
    lr = np.empty((h, w, channels), np.uint8)
    tiles = cut(h, w, tiling.step((h, w), scale), tiling.overlap)
    device = device_of(rescaler)

    def bijective(part: Sequence[Tile]) -> None:
        assert isinstance(rescaler, BijectiveRescaler)
        s = rescaler.scale
        # Where partial blocks are repeated to whole ones, tiles of one shape may differ before.
        crops = [
            as_tensor(pixels[tile.rows.seen(s), tile.columns.seen(s)], device) for tile in part
        ]
        seen = engine_for(rescaler).downscale(torch.cat([pad(crop, s) for crop in crops]))
        for tile, result in zip(part, seen, strict=True):
            inner = result[:, tile.rows.inner(), tile.columns.inner()]
            lr[tile.rows.owned(), tile.columns.owned()] = as_pixels(inner, channels)

    def resampled(part: Sequence[Tile]) -> None:
        assert isinstance(rescaler, ResamplingRescaler)
        for tile in part:
            spans = zip((tile.rows, tile.columns), (height, width), strict=True)
            rows, columns = (_window_down(span, scale, side) for span, side in spans)
            given = as_tensor(pixels[rows.given, columns.given], device)
            with torch.inference_mode():
                result = rescaler.downscale_part(given, scale, (rows, columns))
            lr[rows.asked, columns.asked] = as_pixels(result[0], channels)

    if isinstance(rescaler, BijectiveRescaler):
        for_all_tiles(tiles, engine_for(rescaler).batch, bijective)
    elif isinstance(rescaler, ResamplingRescaler) and len(tiles) > 1:
        for_all_tiles(tiles, 1, resampled)
    else:
        with torch.inference_mode():
            whole = rescaler.downscale(as_tensor(pixels, device), scale).lr[0]
        lr[:] = as_pixels(whole, channels)
    return lr


def _window_down(span: Span, scale: float, side: int) -> Window:
    """HR pixels to give for a span of LR pixels."""
    first = floor(span.seen_start * scale)
    last = side if span.seen_stop == span.length else min(side, ceil(span.seen_stop * scale))
    given = slice(first, last)
    return Window(given=given, asked=span.owned(), length=side, result=span.length)
