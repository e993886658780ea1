"""Drawing what stands in for the latent `z` at restoration."""

from __future__ import annotations

import torch
from torch import Tensor

from rescaling_core.latent import LATENT_KINDS as LATENT_KINDS
from rescaling_core.latent import LatentKind as LatentKind
from rescaling_core.latent import LatentPolicy as LatentPolicy


def seeded_generator(seed: int) -> torch.Generator:
    """A CPU generator: draws are made on the CPU so that every device sees the same latent."""
    return torch.Generator(device="cpu").manual_seed(seed)


def gaussian_latent(shape: tuple[int, ...], std: float, generator: torch.Generator) -> Tensor:
    """Draw N(0, std²) on the CPU, float32."""
    return torch.randn(shape, generator=generator) * std
