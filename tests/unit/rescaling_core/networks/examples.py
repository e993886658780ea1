"""Small networks of every family, with weights that do something."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import torch

from rescaling_core.networks import FAMILIES, Rescaler, build

NETWORKS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "irn-x2": ("irn", {"scale": 2, "blocks": [2], "growth": 8}),
    "irn-x3": ("irn", {"scale": 3, "blocks": [2], "growth": 8}),
    "irn-x4": ("irn", {"scale": 4, "blocks": [1, 1], "growth": 8}),
    "irn-x4-down-first": ("irn", {"scale": 4, "blocks": [2], "growth": 8, "down_first": True}),
    "irn-x8": ("irn", {"scale": 8, "blocks": [1, 1, 1], "growth": 4}),
    "irn-color": ("irn-color", {"blocks": 2, "growth": 8}),
    "irn-crm-x2": ("irn-crm", {"scale": 2, "blocks": [1], "growth": 8, "crm_features": 8}),
    "sain-x2": ("sain", {"scale": 2, "enhanced_blocks": 2, "blocks": 1, "growth": 8}),
    "sain-x4": ("sain", {"scale": 4, "enhanced_blocks": 1, "blocks": 1, "growth": 8}),
    "dlv-irn-x2": ("dlv-irn", {"scale": 2, "blocks": [2], "growth": 8}),
    "dlv-irn-x4": ("dlv-irn", {"scale": 4, "blocks": [1, 1], "extra": 2, "growth": 8}),
    "t-irn-x2": ("t-irn", {"scale": 2, "blocks": [2], "growth": 8}),
    "t-irn-x4": ("t-irn", {"scale": 4, "blocks": [1, 1], "growth": 8}),
    "firn-x2": ("firn", {"scale": 2, "blocks": [2]}),
    "firn-x4": ("firn", {"scale": 4, "blocks": [1, 1]}),
    "aidn": ("aidn", {"features": 16, "residual_blocks": 2, "adapt_every": 1}),
    "aidn-plus": ("aidn", {"features": 16, "residual_blocks": 2, "codec_quality": 90,
                           "adapt_every": 2}),
    "aidn-x4": ("aidn", {"features": 16, "residual_blocks": 2, "fixed_scale": 4}),
    "hyperthumbnail-x2": ("hyperthumbnail", {
        "scale": 2, "features": 8, "residual_blocks": 1, "coefficient_blocks": 1,
        "encoder_features": 8, "encoder_blocks": 1, "growth": 4}),
    "hyperthumbnail-x3": ("hyperthumbnail", {
        "scale": 3, "features": 8, "residual_blocks": 2, "coefficient_blocks": None,
        "encoder_features": 8, "encoder_blocks": 1, "growth": 4}),
    "bicubic": ("filter", {"kernel": "bicubic"}),
    "lanczos": ("filter", {"kernel": "lanczos"}),
}  # fmt: skip

SCALES: Final[dict[str, float]] = {"irn-color": 1, "aidn": 2.3, "aidn-plus": 1.6, "bicubic": 3.7}
"""Of those whose name does not say it; 2 otherwise."""


def scale_of(name: str) -> float:
    """A scale the network was made for."""
    for scale in (2, 3, 4, 8):
        if f"-x{scale}" in name:
            return scale
    return SCALES.get(name, 2)


@cache
def example(name: str) -> Rescaler:
    """The network, its weights moved off their start, where all of them are the Haar pyramid."""
    family, config = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)  # the same weights in every process, whatever ran before
        rescaler = build(family, config, FAMILIES[family].latent_policy).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for key, parameter in rescaler.named_parameters():
            if "jpeg" not in key and "gmm" not in key:
                parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
    return rescaler.requires_grad_(requires_grad=False)


def photo(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """(1, 3, H, W): noise on a gradient, in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    ramp = torch.linspace(0.2, 0.8, width).expand(1, 3, height, width)
    noise = 0.1 * torch.randn(1, 3, height, width, generator=generator)
    return (ramp + noise).clamp(0, 1)
