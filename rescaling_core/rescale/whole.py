"""Whole images through a rescaler: 8-bit pixels in, 8-bit pixels out, in bounded memory."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rescaling_core.engine import engine_for
from rescaling_core.networks.base import BijectiveRescaler, ResamplingRescaler, Rescaler, Window
from rescaling_core.networks.base import pad_to_multiple as pad
from rescaling_core.networks.latent import seeded_generator
from rescaling_core.pixels.tiles import DEFAULT_TILING, Tile, Tiling, cut, for_all_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.pixels.tiles import Span

__all__ = ["DEFAULT_TILING", "Tiling", "downscale_pixels", "restore_pixels"]


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
    channels = min(channels, _lr_channels(rescaler))
    h, w = rescaler.lr_size((height, width), scale)
    lr = np.empty((h, w, channels), np.uint8)
    tiles = cut(h, w, tiling.step((h, w), scale), tiling.overlap)
    device = _device(rescaler)

    def bijective(part: Sequence[Tile]) -> None:
        assert isinstance(rescaler, BijectiveRescaler)
        s = rescaler.scale
        # Where partial blocks are repeated to whole ones, tiles of one shape may differ before.
        crops = [_tensor(pixels[tile.rows.seen(s), tile.columns.seen(s)], device) for tile in part]
        seen = engine_for(rescaler).downscale(torch.cat([pad(crop, s) for crop in crops]))
        for tile, result in zip(part, seen, strict=True):
            inner = result[:, tile.rows.inner(), tile.columns.inner()]
            lr[tile.rows.owned(), tile.columns.owned()] = _pixels(inner, channels)

    def resampled(part: Sequence[Tile]) -> None:
        assert isinstance(rescaler, ResamplingRescaler)
        for tile in part:
            spans = zip((tile.rows, tile.columns), (height, width), strict=True)
            rows, columns = (_window_down(span, scale, side) for span, side in spans)
            given = _tensor(pixels[rows.given, columns.given], device)
            with torch.inference_mode():
                result = rescaler.downscale_part(given, scale, (rows, columns))
            lr[rows.asked, columns.asked] = _pixels(result[0], channels)

    if isinstance(rescaler, BijectiveRescaler):
        for_all_tiles(tiles, engine_for(rescaler).batch, bijective)
    elif isinstance(rescaler, ResamplingRescaler) and len(tiles) > 1:
        for_all_tiles(tiles, 1, resampled)
    else:
        with torch.inference_mode():
            whole = rescaler.downscale(_tensor(pixels, device), scale).lr[0]
        lr[:] = _pixels(whole, channels)
    return lr


def restore_pixels(
    rescaler: Rescaler,
    lr: U8Array,
    size: tuple[int, int],
    scale: float,
    *,
    seed: int | None = None,
    tiling: Tiling = DEFAULT_TILING,
) -> U8Array:
    """Restore the HR image from decoded LR pixels.

    Args:
        rescaler: The rescaler that made the LR image, with the same weights.
        lr: (h, w, C), C = 1 or 3.
        size: (H, W) of the HR image.
        scale: HR side / LR side.
        seed: Of the latent, where the rescaler's policy draws one.
        tiling: The one the rendition was measured with. What does not fit into memory is cut
            further.

    Returns:
        (H, W, C), 8 bits; C as in `lr`, or 3 if that hides colours.

    Raises:
        ValueError: The policy is random and there is no seed, or the sizes do not belong together.
        torch.OutOfMemoryError: Not even small tiles fit.
    """
    if rescaler.lr_size(size, scale) != lr.shape[:2]:
        raise ValueError(f"an LR image of {lr.shape[:2]} does not restore to {size} at x{scale:g}")
    rescaler.check_scale(scale)
    generator = None if seed is None else seeded_generator(seed)
    h, w, channels = lr.shape
    given_channels = _lr_channels(rescaler)
    if given_channels == 1:
        channels = 3
    hr = np.empty((*size, channels), np.uint8)
    tiles = cut(h, w, tiling.step((h, w), scale), tiling.overlap)
    device = _device(rescaler)
    latent = None
    if isinstance(rescaler, BijectiveRescaler) and rescaler.latent_policy.is_random:
        latent = rescaler.draw_latent((1, rescaler.latent_channels, h, w), generator)

    def bijective(part: Sequence[Tile]) -> None:
        assert isinstance(rescaler, BijectiveRescaler)
        s = rescaler.scale
        crops = [
            _tensor(lr[tile.rows.seen(), tile.columns.seen()], device, given_channels)
            for tile in part
        ]
        latents = None
        if latent is not None:
            cuts = [latent[..., tile.rows.seen(), tile.columns.seen()] for tile in part]
            latents = torch.cat(cuts).to(device)
        seen = engine_for(rescaler).upscale(torch.cat(crops), latents)
        for tile, result in zip(part, seen, strict=True):
            target = hr[tile.rows.owned(s), tile.columns.owned(s)]
            inner = result[:, tile.rows.inner(s), tile.columns.inner(s)]
            target[:] = _pixels(inner[:, : target.shape[0], : target.shape[1]], channels)

    def resampled(part: Sequence[Tile]) -> None:
        assert isinstance(rescaler, ResamplingRescaler)
        for tile in part:
            spans = zip((tile.rows, tile.columns), size, strict=True)
            rows, columns = (_window_up(span, scale, side) for span, side in spans)
            given = _tensor(lr[rows.given, columns.given], device)
            with torch.inference_mode():
                result = rescaler.upscale_part(given, scale, (rows, columns))
            hr[rows.asked, columns.asked] = _pixels(result[0], channels)

    if isinstance(rescaler, BijectiveRescaler):
        for_all_tiles(tiles, engine_for(rescaler).batch, bijective)
    elif isinstance(rescaler, ResamplingRescaler) and len(tiles) > 1:
        for_all_tiles(tiles, 1, resampled)
    else:
        with torch.inference_mode():
            whole = rescaler.upscale(_tensor(lr, device), size, scale=scale, generator=generator)
        hr[:] = _pixels(whole[0], channels)
    return hr


def _window_down(span: Span, scale: float, side: int) -> Window:
    """HR pixels to give for a span of LR pixels."""
    first = floor(span.seen_start * scale)
    last = side if span.seen_stop == span.length else min(side, ceil(span.seen_stop * scale))
    given = slice(first, last)
    return Window(given=given, asked=span.owned(), length=side, result=span.length)


def _window_up(span: Span, scale: float, side: int) -> Window:
    """HR pixels to ask for of a span of LR pixels; together, those of all spans are all."""
    stop = side if span.stop == span.length else floor(span.stop * scale)
    asked = slice(floor(span.start * scale), min(stop, side))
    return Window(given=span.seen(), asked=asked, length=span.length, result=side)


def _device(rescaler: Rescaler) -> torch.device:
    return next((p.device for p in rescaler.parameters()), torch.device("cpu"))


def _lr_channels(rescaler: Rescaler) -> int:
    return rescaler.lr_channels if isinstance(rescaler, BijectiveRescaler) else 3


def _tensor(pixels: U8Array, device: torch.device, channels: int = 3) -> Tensor:
    """(H, W, C) 0-255 → (1, channels, H, W) in [0, 1]; grey is repeated."""
    tensor = torch.tensor(pixels, device=device)
    return tensor.permute(2, 0, 1)[None].expand(1, channels, -1, -1).float() / 255


def _pixels(image: Tensor, channels: int) -> U8Array:
    """(3, H, W) → (H, W, C) 0-255, clamped and rounded half to even; grey is the mean."""
    if channels == 1:
        image = image.mean(dim=0, keepdim=True)
    rounded = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return rounded.permute(1, 2, 0).cpu().numpy()
