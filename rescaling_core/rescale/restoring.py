"""Images restored by a rescaler, whole or tile by tile, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

import numpy as np
import torch

from rescaling_core.engine import engine_for
from rescaling_core.networks.base import ResamplingRescaler, Window
from rescaling_core.networks.bijective import BijectiveRescaler
from rescaling_core.networks.latent import seeded_generator
from rescaling_core.pixels.tiles import DEFAULT_TILING, Tile, cut, for_all_tiles
from rescaling_core.rescale.samples import as_pixels, as_tensor, device_of, lr_channels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from rescaling_core.networks.base import Rescaler
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.pixels.tiles import Span, Tiling


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
    return Restoration(rescaler, lr, size, scale, seed=seed, tiling=tiling).whole()


@dataclass(frozen=True, slots=True)
class Part:
    """A tile of an LR image, and the pixels of the HR image that it makes."""

    tile: Tile
    rows: slice
    """Of the HR image."""
    columns: slice


class Restoration:
    """One LR image and all that restores it, whole or in the parts that one asks for.

    Its parts are the tiles that the whole image is cut into, so that they are equal to the same
    pixels of the whole.
    """

    def __init__(
        self,
        rescaler: Rescaler,
        lr: U8Array,
        size: tuple[int, int],
        scale: float,
        *,
        seed: int | None = None,
        tiling: Tiling = DEFAULT_TILING,
    ) -> None:
        """See `restore_pixels`; nothing is computed yet.

        Raises:
            ValueError: The sizes do not belong together.
        """
        if rescaler.lr_size(size, scale) != lr.shape[:2]:
            raise ValueError(
                f"an LR image of {lr.shape[:2]} does not restore to {size} at x{scale:g}"
            )
        rescaler.check_scale(scale)
        self._rescaler, self._lr, self._size, self._scale = rescaler, lr, size, scale
        self._seed = seed
        h, w, channels = lr.shape
        self._given_channels = lr_channels_of(rescaler)
        self._channels = 3 if self._given_channels == 1 else channels
        self._tiles = cut(h, w, tiling.step((h, w), scale), tiling.overlap)
        self._in_parts = isinstance(rescaler, BijectiveRescaler) or (
            isinstance(rescaler, ResamplingRescaler) and len(self._tiles) > 1
        )
        self._latent: Tensor | None = None

    @property
    def parts(self) -> list[Part]:
        """What the whole is cut into; together they own every pixel of the HR image once."""
        if not self._in_parts:
            height, width = self._size
            return [Part(self._tiles[0], slice(0, height), slice(0, width))]
        return [Part(tile, *self._asked(tile)) for tile in self._tiles]

    def whole(self) -> U8Array:
        """(H, W, C): the HR image."""
        hr = np.empty((*self._size, self._channels), np.uint8)
        self._fill(self._tiles, hr, (0, 0))
        return hr

    def part(self, part: Part) -> U8Array:
        """(rows, columns, C): one of `parts`."""
        shape = (part.rows.stop - part.rows.start, part.columns.stop - part.columns.start)
        pixels = np.empty((*shape, self._channels), np.uint8)
        self._fill([part.tile], pixels, (part.rows.start, part.columns.start))
        return pixels

    def _asked(self, tile: Tile) -> tuple[slice, slice]:
        """Rows and columns of the HR image that a tile makes."""
        if isinstance(self._rescaler, BijectiveRescaler):
            s = self._rescaler.scale
            owned = (tile.rows.owned(s), tile.columns.owned(s))
            (height, width) = self._size
            return (
                slice(owned[0].start, min(owned[0].stop, height)),
                slice(owned[1].start, min(owned[1].stop, width)),
            )
        rows, columns = (
            _window_up(span, self._scale, side)
            for span, side in zip((tile.rows, tile.columns), self._size, strict=True)
        )
        return rows.asked, columns.asked

    def _fill(self, tiles: Sequence[Tile], hr: U8Array, origin: tuple[int, int]) -> None:
        """Write what tiles make into an image whose first pixel is `origin` of the HR image."""
        rescaler = self._rescaler
        if isinstance(rescaler, BijectiveRescaler):
            engine = engine_for(rescaler)
            latent = self._drawn(rescaler)

            def bijective(some: Sequence[Tile]) -> None:
                self._bijective(rescaler, some, latent, hr, origin)

            for_all_tiles(tiles, engine.batch, bijective)
        elif isinstance(rescaler, ResamplingRescaler) and self._in_parts:

            def resampled(some: Sequence[Tile]) -> None:
                self._resampled(rescaler, some, hr, origin)

            for_all_tiles(tiles, 1, resampled)
        else:
            given = as_tensor(self._lr, device_of(rescaler))
            generator = None if self._seed is None else seeded_generator(self._seed)
            with torch.inference_mode():
                result = rescaler.upscale(given, self._size, scale=self._scale, generator=generator)
            hr[:] = as_pixels(result[0], self._channels)

    def _drawn(self, rescaler: BijectiveRescaler) -> Tensor | None:
        """The latent of the whole image, where one is drawn; drawn once."""
        if not rescaler.latent_policy.is_random:
            return None
        if self._latent is None:
            generator = None if self._seed is None else seeded_generator(self._seed)
            shape = (1, rescaler.latent_channels, *self._lr.shape[:2])
            self._latent = rescaler.draw_latent(shape, generator)
        return self._latent

    def _bijective(
        self,
        rescaler: BijectiveRescaler,
        tiles: Sequence[Tile],
        latent: Tensor | None,
        hr: U8Array,
        origin: tuple[int, int],
    ) -> None:
        s = rescaler.scale
        device = device_of(rescaler)
        crops = [
            as_tensor(self._lr[tile.rows.seen(), tile.columns.seen()], device, self._given_channels)
            for tile in tiles
        ]
        latents = None
        if latent is not None:
            cuts = [latent[..., tile.rows.seen(), tile.columns.seen()] for tile in tiles]
            latents = torch.cat(cuts).to(device)
        seen = engine_for(rescaler).upscale(torch.cat(crops), latents)
        for tile, result in zip(tiles, seen, strict=True):
            target = _within(hr, self._asked(tile), origin)
            inner = result[:, tile.rows.inner(s), tile.columns.inner(s)]
            target[:] = as_pixels(inner[:, : target.shape[0], : target.shape[1]], self._channels)

    def _resampled(
        self,
        rescaler: ResamplingRescaler,
        tiles: Sequence[Tile],
        hr: U8Array,
        origin: tuple[int, int],
    ) -> None:
        for tile in tiles:
            spans = zip((tile.rows, tile.columns), self._size, strict=True)
            rows, columns = (_window_up(span, self._scale, side) for span, side in spans)
            given = as_tensor(self._lr[rows.given, columns.given], device_of(rescaler))
            with torch.inference_mode():
                result = rescaler.upscale_part(given, self._scale, (rows, columns))
            _within(hr, (rows.asked, columns.asked), origin)[:] = as_pixels(
                result[0], self._channels
            )


def _within(hr: U8Array, asked: tuple[slice, slice], origin: tuple[int, int]) -> U8Array:
    """The pixels of an image that begins at `origin` of the HR image."""
    rows, columns = (
        slice(part.start - start, part.stop - start)
        for part, start in zip(asked, origin, strict=True)
    )
    return hr[rows, columns]


def _window_up(span: Span, scale: float, side: int) -> Window:
    """HR pixels to ask for of a span of LR pixels; together, those of all spans are all."""
    stop = side if span.stop == span.length else floor(span.stop * scale)
    asked = slice(floor(span.start * scale), min(stop, side))
    return Window(given=span.seen(), asked=asked, length=span.length, result=side)
