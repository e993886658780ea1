"""Whole images through a rescaler: 8-bit pixels in, 8-bit pixels out, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rescaling_core.networks.base import BijectiveRescaler, Rescaler
from rescaling_core.networks.latent import seeded_generator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rescaling_core.arrays import U8Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How an image that is too large for one pass is cut.

    Recorded with every rendition, since restoration has to cut the same way to give the very
    same pixels.
    """

    tile: int = 1024
    """HR pixels on a side that one pass is responsible for."""
    overlap: int = 32
    """LR pixels of context around it; the networks see about as far."""


DEFAULT_TILING = Tiling()


@dataclass(frozen=True, slots=True)
class _Span:
    """A run of LR pixels along one axis: what a tile owns, and what it sees."""

    start: int
    stop: int
    seen_start: int
    seen_stop: int

    def owned(self, scale: int) -> slice:
        """The owned pixels, counted within the whole image."""
        return slice(self.start * scale, self.stop * scale)

    def seen(self, scale: int) -> slice:
        """The seen pixels, counted within the whole image."""
        return slice(self.seen_start * scale, self.seen_stop * scale)

    def inner(self, scale: int) -> slice:
        """The owned pixels, counted within the seen ones."""
        return slice((self.start - self.seen_start) * scale, (self.stop - self.seen_start) * scale)


def downscale_pixels(
    rescaler: Rescaler, pixels: U8Array, scale: float, *, tiling: Tiling = DEFAULT_TILING
) -> U8Array:
    """Make the LR image of a photo.

    Args:
        rescaler: Any rescaler whose scales include `scale`.
        pixels: (H, W, C), C = 1 (grey) or 3 (RGB).
        scale: HR side / LR side.
        tiling: Where to cut large images. Rescalers that are no bijection run whole.

    Returns:
        (h, w, C), rounded to 8 bits: what the codec gets. C is 1 if the rescaler hides colours in
        a grey image.
    """
    height, width, channels = pixels.shape
    channels = min(channels, _lr_channels(rescaler))
    h, w = rescaler.lr_size((height, width), scale)
    lr = np.empty((h, w, channels), np.uint8)
    if not isinstance(rescaler, BijectiveRescaler):
        lr[:] = _from_tensor(_run_down(rescaler, pixels, scale), channels)
        return lr
    s = rescaler.scale
    padded = np.pad(pixels, ((0, h * s - height), (0, w * s - width), (0, 0)), mode="edge")
    for ys, xs in _tiles(h, w, s, tiling):
        seen = _run_down(rescaler, padded[ys.seen(s), xs.seen(s)], scale)
        lr[ys.owned(1), xs.owned(1)] = _from_tensor(seen[..., ys.inner(1), xs.inner(1)], channels)
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
        tiling: The one the rendition was measured with.

    Returns:
        (H, W, C), 8 bits; C as in `lr`, or 3 if that hides colours.

    Raises:
        ValueError: The policy is random and there is no seed, or the sizes do not belong together.
    """
    if rescaler.lr_size(size, scale) != lr.shape[:2]:
        raise ValueError(f"an LR image of {lr.shape[:2]} does not restore to {size} at x{scale:g}")
    generator = None if seed is None else seeded_generator(seed)
    h, w, channels = lr.shape
    if _lr_channels(rescaler) == 1:
        channels = 3
    if not isinstance(rescaler, BijectiveRescaler):
        with torch.inference_mode():
            hr = rescaler.upscale(
                _to_tensor(rescaler, lr, _lr_channels(rescaler)),
                size,
                scale=scale,
                generator=generator,
            )
        return _from_tensor(hr, channels)
    s = rescaler.scale
    latent = None
    if rescaler.latent_policy.is_random:
        latent = rescaler.draw_latent((1, rescaler.latent_channels, h, w), generator)
    restored = np.empty((h * s, w * s, channels), np.uint8)
    for ys, xs in _tiles(h, w, s, tiling):
        seen_lr = _to_tensor(rescaler, lr[ys.seen(1), xs.seen(1)], _lr_channels(rescaler))
        seen_latent = None if latent is None else latent[..., ys.seen(1), xs.seen(1)]
        seen_size = (seen_lr.shape[-2] * s, seen_lr.shape[-1] * s)
        with torch.inference_mode():
            seen = rescaler.upscale(seen_lr, seen_size, scale=scale, latent=seen_latent)
        restored[ys.owned(s), xs.owned(s)] = _from_tensor(
            seen[..., ys.inner(s), xs.inner(s)], channels
        )
    return restored[: size[0], : size[1]]


def _tiles(h: int, w: int, scale: int, tiling: Tiling) -> Iterator[tuple[_Span, _Span]]:
    """Cut an LR image of (h, w) into tiles that together own every pixel once."""
    step = max(1, tiling.tile // scale)
    rows = list(_spans(h, step, tiling.overlap))
    columns = list(_spans(w, step, tiling.overlap))
    return chain.from_iterable(((row, column) for column in columns) for row in rows)


def _spans(length: int, step: int, overlap: int) -> Iterator[_Span]:
    for start in range(0, length, step):
        stop = min(start + step, length)
        yield _Span(start, stop, max(0, start - overlap), min(length, stop + overlap))


def _run_down(rescaler: Rescaler, pixels: U8Array, scale: float) -> Tensor:
    with torch.inference_mode():
        return rescaler.downscale(_to_tensor(rescaler, pixels, 3), scale).lr


def _lr_channels(rescaler: Rescaler) -> int:
    return rescaler.lr_channels if isinstance(rescaler, BijectiveRescaler) else 3


def _to_tensor(rescaler: Rescaler, pixels: U8Array, channels: int) -> Tensor:
    """(H, W, C) 0-255 → (1, channels, H, W) in [0, 1] where it lives; grey is repeated."""
    device = next((p.device for p in rescaler.parameters()), torch.device("cpu"))
    tensor = torch.tensor(pixels, device=device)
    return tensor.permute(2, 0, 1)[None].expand(1, channels, -1, -1).float() / 255


def _from_tensor(tensor: Tensor, channels: int) -> U8Array:
    """(1, 3, H, W) → (H, W, C) 0-255, clamped and rounded half to even; grey is the mean."""
    if channels == 1:
        tensor = tensor.mean(dim=1, keepdim=True)
    rounded = (tensor[0].clamp(0, 1) * 255).round().to(torch.uint8)
    return rounded.permute(1, 2, 0).cpu().numpy()
