"""Test-time refinement: a better LR image for the very pixels at hand.

An idea of HCD's (`hcd.py`), made useful: among the 8-bit LR images within a stated distance of the
rescaler's own, find one from which the HR original is restored better.

The codec of the LR file is left out of it on purpose. With the coded image in the loop, its
gradient passed straight through, or with its error added as a constant, restorations from AVIF and
JPEG were worse than with neither and took more bytes: on two pictures of Set5 at AVIF 92,
irn-x2-lite gained 0.65 dB without and nothing or less with. So one refined image serves all
qualities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from rescaling_core.networks.bijective import BijectiveRescaler
from rescaling_core.networks.latent import seeded_generator
from rescaling_core.networks.quantise import quantise

if TYPE_CHECKING:
    from torch import Tensor

    from rescaling_core.networks import Rescaler
    from rescaling_core.pixels.arrays import U8Array

_LUMA: Final = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_BLOCK: Final = 128
"""Side, in LR pixels, of what is refined at a time. It bounds the memory."""
_CONTEXT: Final = 32
"""Width, in LR pixels, of the border around a block that takes part but is not changed."""
_RGB_WEIGHT: Final = 0.3
"""Weight of the RGB error beside the luma error: luma then gains most, and colour does not get
worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """How much to refine."""

    steps: int = 10
    """Number of restorations with a gradient; each costs about three plain ones."""
    max_change: int = 2
    """Largest change of a sample of the LR image, in levels of 255."""
    rate: float = 0.6
    """Typical change of a sample in one step, in levels of 255."""

    def __post_init__(self) -> None:
        if self.steps < 0 or self.max_change < 0 or self.rate <= 0:
            raise ValueError("refinement: steps and max_change are at least 0, rate is above 0")


def refine(
    rescaler: Rescaler,
    lr: Tensor,
    hr: Tensor,
    scale: float,
    *,
    refinement: Refinement,
    latent: Tensor | None = None,
    free: tuple[slice, slice] | None = None,
) -> Tensor:
    """Change an LR image so that the HR image is restored better from it.

    Adam on the LR samples, through straight-through rounding; the best 8-bit iterate of each image
    is returned, so that no image gets worse. "Better" is the squared error of the clamped
    restoration: luma's, plus 0.3 times RGB's.

    Args:
        rescaler: Any differentiable rescaler; its weights are not changed.
        lr: (B, C, h, w) in [0, 1], C = 3, or 1 for grey images. Rounded to 8 bits first.
        hr: (B, C, H, W) in [0, 1]: what is to be restored.
        scale: HR side / LR side.
        refinement: How much.
        latent: What restoration will use; needed where the rescaler's policy is random.
        free: Rows and columns of the LR image that may change; all by default.

    Returns:
        (B, C, h, w), multiples of 1/255 in [0, 1], each at most `max_change` levels from `lr`.

    Raises:
        ValueError: The policy is random and there is no latent.
    """
    first = quantise(lr.detach())
    reach = torch.zeros_like(first)
    reach[(..., *free) if free else ...] = refinement.max_change / 255
    lowest, highest = (first - reach).clamp(min=0), (first + reach).clamp(max=1)
    with torch.enable_grad():
        v = first.clone().requires_grad_()
        optimiser = torch.optim.Adam([v], lr=refinement.rate / 255)
        best, least = first, torch.full((len(first),), torch.inf, device=first.device)
        for step in range(refinement.steps + 1):
            candidate = quantise(v)
            errors = _errors(_restore(rescaler, candidate, hr, scale, latent), hr)
            better = errors.detach() < least
            best = torch.where(better[:, None, None, None], candidate.detach(), best)
            least = torch.where(better, errors.detach(), least)
            if step == refinement.steps:
                break
            (v.grad,) = torch.autograd.grad(errors.sum(), v)
            optimiser.step()
            v.data = torch.minimum(torch.maximum(v.data, lowest), highest)
    return best


def _restore(
    rescaler: Rescaler, lr: Tensor, hr: Tensor, scale: float, latent: Tensor | None
) -> Tensor:
    """Restore and clamp; grey images go through as R = G = B and come back as the mean."""
    size = (hr.shape[-2], hr.shape[-1])
    rgb = lr.expand(-1, 3, -1, -1)
    restored = rescaler.upscale(rgb, size, scale=scale, latent=latent)
    if lr.shape[1] == 1:
        restored = restored.mean(dim=1, keepdim=True)
    return restored.clamp(0, 1)


def _errors(restored: Tensor, hr: Tensor) -> Tensor:
    """(B,): what `refine` makes small."""
    difference = restored - hr
    weights = difference.new_tensor(_LUMA)[:, None, None]
    luma = torch.sum(difference.expand(-1, 3, -1, -1) * weights, dim=1)
    return (luma**2).mean(dim=(1, 2)) + _RGB_WEIGHT * (difference**2).mean(dim=(1, 2, 3))


def refine_pixels(
    rescaler: Rescaler,
    lr: U8Array,
    pixels: U8Array,
    scale: float,
    *,
    refinement: Refinement,
    seed: int | None = None,
) -> U8Array:
    """Refine the LR image of a photo, block by block where the rescaler is a bijection.

    Args:
        rescaler: The rescaler that made the LR image.
        lr: (h, w, C), C = 1 or 3, from `downscale_pixels`.
        pixels: (H, W, C): the original.
        scale: HR side / LR side.
        refinement: How much.
        seed: The one restoration will use, where the rescaler's policy is random.

    Returns:
        (h, w, C): at most `refinement.max_change` levels from `lr` at every sample.

    Raises:
        ValueError: The policy is random and there is no seed.
    """
    device = next((p.device for p in rescaler.parameters()), torch.device("cpu"))
    refined = _to_tensor(lr, device)
    hr = _to_tensor(pixels, device)
    h, w = refined.shape[-2:]
    latent = None
    if isinstance(rescaler, BijectiveRescaler) and rescaler.latent_policy.is_random:
        generator = None if seed is None else seeded_generator(seed)
        latent = rescaler.draw_latent((1, rescaler.latent_channels, h, w), generator)
    block = _BLOCK if isinstance(rescaler, BijectiveRescaler) else max(h, w)
    for top in range(0, h, block):
        for left in range(0, w, block):
            rows, columns = _Run.around(top, block, h), _Run.around(left, block, w)
            seen = refined[..., rows.seen, columns.seen]
            result = refine(
                rescaler,
                seen,
                hr[..., rows.hr(scale), columns.hr(scale)],
                scale,
                refinement=refinement,
                latent=None if latent is None else latent[..., rows.seen, columns.seen],
                free=(rows.inner, columns.inner),
            )
            refined[..., rows.seen, columns.seen] = result
    rounded = (refined[0] * 255).round().to(torch.uint8)
    return np.ascontiguousarray(rounded.permute(1, 2, 0).cpu().numpy())


@dataclass(frozen=True, slots=True)
class _Run:
    """A block along one axis of the LR image, with its context."""

    seen: slice
    inner: slice

    @classmethod
    def around(cls, start: int, block: int, length: int) -> _Run:
        stop = min(start + block, length)
        seen_start, seen_stop = max(0, start - _CONTEXT), min(length, stop + _CONTEXT)
        return cls(slice(seen_start, seen_stop), slice(start - seen_start, stop - seen_start))

    def hr(self, scale: float) -> slice:
        """The seen pixels in the HR image; slicing ends with the image."""
        return slice(round(self.seen.start * scale), round(self.seen.stop * scale))


def _to_tensor(pixels: U8Array, device: torch.device) -> Tensor:
    """(H, W, C) 0-255 → (1, C, H, W) in [0, 1]."""
    return torch.tensor(pixels, device=device).permute(2, 0, 1)[None].float() / 255
