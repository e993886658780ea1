"""What a training step minimises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from rescaling_core.networks.quantise import quantise
from rescaling_core.networks.resampling import resize

if TYPE_CHECKING:
    from rescaling_core.networks import Rescaler
    from rescaling_core.training.recipe import Distance, Objective

_LUMA: Final = (0.299, 0.587, 0.114)
_CHARBONNIER_EPSILON: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss and the terms it is the sum of, before weighting."""

    total: Tensor
    terms: dict[str, Tensor]


def rescaling_loss(
    rescaler: Rescaler,
    hr: Tensor,
    scale: float,
    objective: Objective,
    generator: torch.Generator,
) -> Loss:
    """Down, through 8 bits, up again, and compare.

    Args:
        rescaler: The network in training.
        hr: (B, 3, P, P) RGB in [0, 1].
        scale: HR side / LR side.
        objective: The terms and their weights.
        generator: Where random latents come from.
    """
    down = rescaler.downscale(hr, scale)
    size = (hr.shape[-2], hr.shape[-1])
    restored = rescaler.upscale(quantise(down.lr), size, scale=scale, generator=generator)
    guide = resize(hr, (down.lr.shape[-2], down.lr.shape[-1]), scale=1 / scale)
    terms = {
        "restoration": distance(restored, hr, objective.restoration),
        "lr": torch.mean((down.lr - guide) ** 2),
    }
    total = terms["restoration"] + objective.lr * terms["lr"]
    if objective.luma:
        weights = hr.new_tensor(_LUMA)[:, None, None]
        y, y_hr = (torch.sum(image * weights, 1, keepdim=True) for image in (restored, hr))
        terms["luma"] = distance(y, y_hr, objective.restoration)
        total = total + objective.luma * terms["luma"]
    if objective.latent and down.latent is not None:
        terms["latent"] = torch.mean(down.latent**2)
        total = total + objective.latent * terms["latent"]
    return Loss(total, terms)


def distance(a: Tensor, b: Tensor, kind: Distance) -> Tensor:
    """A mean distance of two (B, C, H, W) batches in [0, 1]."""
    difference = a - b
    if kind == "l1":
        return difference.abs().mean()
    if kind == "l2":
        return torch.mean(difference**2)
    if kind == "charbonnier":
        return torch.sqrt(difference**2 + _CHARBONNIER_EPSILON).mean()
    # Mean over the batch of each patch's level: what a mean of PSNRs asks for.
    return torch.log10(torch.mean(difference**2, dim=(1, 2, 3)) + _CHARBONNIER_EPSILON).mean()
