"""HCD as published: a better HR image to downscale, then a better LR image (Xu et al., ICCV 2023).

Its ball has one radius for the whole image tensor, so the change a pixel sees shrinks as the image
grows: a tenth of a level on a photograph. `refine.refine` is the one to use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from rescaling_core.networks.quantise import quantise

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from rescaling_core.networks import Rescaler


@dataclass(frozen=True, slots=True, kw_only=True)
class HCDOptions:
    """The published settings."""

    radius: float = 0.3
    """Radius of the ball, in the L2 norm over the whole image tensor."""
    rate: float = 20 / 255
    """Length of a step, in the L2 norm over the whole image tensor."""
    hr_steps: int = 15
    lr_steps: int = 15


@dataclass(frozen=True, slots=True)
class Collaborative:
    """What HCD ends with."""

    hr: Tensor
    """x': (B, 3, H, W), the HR image to downscale instead of the original."""
    lr: Tensor
    """y': (B, 3, h, w), not quantised."""


def hcd(
    rescaler: Rescaler,
    hr: Tensor,
    scale: float,
    *,
    generator: torch.Generator,
    options: HCDOptions | None = None,
    start: Callable[[torch.Size], Tensor] | None = None,
) -> Collaborative:
    """Hierarchical collaborative downscaling, as published.

    First the HR image is moved so that its own round trip improves, then the LR image of the moved
    one so that the *moved* one comes back. A latent is drawn for every evaluation.

    Args:
        rescaler: Any differentiable rescaler; the official code uses IRN.
        hr: (1, 3, H, W) in [0, 1].
        scale: HR side / LR side.
        generator: Where the start and the latents come from.
        options: The published ones by default.
        start: Makes the first displacement instead of the random one.

    Source: HCD `my_train.py` (Xu et al., ICCV 2023).
    """
    options = options or HCDOptions()
    size = (hr.shape[-2], hr.shape[-1])

    def restore(lr: Tensor) -> Tensor:
        restored: Tensor = rescaler.upscale(lr, size, scale=scale, generator=generator)
        return restored

    def round_trip(x: Tensor) -> Tensor:
        return restore(quantise(rescaler.downscale(x, scale).lr))

    def random_start(shape: torch.Size) -> Tensor:
        normal = torch.randn(shape, generator=generator)
        length = torch.rand(1, generator=generator)
        displacement: Tensor = normal * (length / normal.norm()) * options.radius
        return displacement

    start = start or random_start
    moved = _descend(hr, round_trip, hr, options.hr_steps, options, start)
    with torch.no_grad():
        base = quantise(rescaler.downscale(moved, scale).lr)
    lr = _descend(base, restore, moved, options.lr_steps, options, start)
    return Collaborative(moved, lr)


def _descend(
    base: Tensor,
    restore: Callable[[Tensor], Tensor],
    target: Tensor,
    steps: int,
    options: HCDOptions,
    start: Callable[[torch.Size], Tensor],
) -> Tensor:
    """Projected gradient descent in a ball around `base`, within [0, 1]; the last iterate."""
    delta = _inside(start(base.shape).to(base), base)
    for _ in range(steps):
        with torch.enable_grad():
            delta = delta.detach().requires_grad_()
            error = torch.mean((restore(base + delta) - target) ** 2)
            (gradient,) = torch.autograd.grad(error, delta)
        delta = delta.detach() - options.rate * gradient / (gradient.norm() + 1e-10)
        delta = delta * (options.radius / delta.norm().clamp(min=options.radius))
        delta = _inside(delta, base)
    return base + delta


def _inside(delta: Tensor, base: Tensor) -> Tensor:
    return torch.minimum(torch.maximum(delta, -base), 1 - base)
