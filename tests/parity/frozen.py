"""Outputs of every family for weights made by a formula; `python -m tests.parity.frozen` stores.

They guard, where the official recordings are too large to carry, what was once compared with them.
Store them again only on a machine where all official recordings match.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from rescaling_core.networks import FAMILIES, BijectiveRescaler, build
from rescaling_core.networks.aidn import AIDN
from rescaling_core.networks.diffjpeg import sain_jpeg
from rescaling_core.networks.latent import seeded_generator
from rescaling_core.networks.quantise import quantise

STORED: Final = Path(__file__).parent / "frozen_outputs.json"
SAMPLES: Final = 24

CASES: Final[dict[str, tuple[str, dict[str, Any], float]]] = {
    "irn x2": ("irn", {"scale": 2, "blocks": [2], "growth": 8}, 2),
    "irn x3": ("irn", {"scale": 3, "blocks": [2], "growth": 8}, 3),
    "irn x4": ("irn", {"scale": 4, "blocks": [1, 1], "growth": 8}, 4),
    "irn x4, down first": ("irn", {"scale": 4, "blocks": [2], "growth": 8, "down_first": True}, 4),
    "irn x8": ("irn", {"scale": 8, "blocks": [1, 1, 1], "growth": 4}, 8),
    "irn-crm x2": (
        "irn-crm",
        {"scale": 2, "blocks": [1], "growth": 8, "crm_features": 8, "crm_blocks": 1},
        2,
    ),
    "irn-color": ("irn-color", {"blocks": 2, "growth": 8}, 1),
    "sain x2": ("sain", {"scale": 2, "enhanced_blocks": 2, "blocks": 1, "growth": 8}, 2),
    "sain x4": ("sain", {"scale": 4, "enhanced_blocks": 1, "blocks": 1, "growth": 4}, 4),
    "aidn x1.7": ("aidn", {"features": 16, "residual_blocks": 4, "adapt_every": 2}, 1.7),
    "aidn x3.9": ("aidn", {"features": 16, "residual_blocks": 4, "adapt_every": 2}, 3.9),
    "aidn+ x2": (
        "aidn",
        {"features": 16, "residual_blocks": 4, "adapt_every": 2, "codec_quality": 90},
        2,
    ),
    "aidn x4, fixed": ("aidn", {"features": 16, "residual_blocks": 2, "fixed_scale": 4}, 4),
    "dlv-irn x2": ("dlv-irn", {"scale": 2, "blocks": [2], "growth": 8}, 2),
    "t-irn x2": ("t-irn", {"scale": 2, "blocks": [1], "growth": 8}, 2),
    "t-irn x4": ("t-irn", {"scale": 4, "blocks": [1, 1], "growth": 4}, 4),
    "firn x2": ("firn", {"scale": 2, "blocks": [2]}, 2),
    "firn x4": ("firn", {"scale": 4, "blocks": [1, 1]}, 4),
    "hyperthumbnail x2": (
        "hyperthumbnail",
        {
            "scale": 2,
            "features": 8,
            "residual_blocks": 2,
            "coefficient_blocks": 1,
            "encoder_features": 8,
            "encoder_blocks": 1,
            "growth": 4,
        },
        2,
    ),
    "bicubic x2.5": ("filter", {"kernel": "bicubic"}, 2.5),
    "lanczos x2.5": ("filter", {"kernel": "lanczos"}, 2.5),
}


def outputs(case: str) -> dict[str, list[float]]:
    """A few values of everything a network gives."""
    name, config, scale = CASES[case]
    rescaler = build(name, config, FAMILIES[name].latent_policy).eval()
    set_by_formula(rescaler)
    x = image(22, 27)
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        down = rescaler.downscale(x, scale)
        found["lr"] = down.lr
        if down.latent is not None:
            found["latent"] = down.latent
        if down.lr_compressed is not None:
            found["lr_compressed"] = down.lr_compressed
        seen = quantise(image(*down.lr.shape[-2:])[:, : down.lr.shape[1]])
        if isinstance(rescaler, AIDN) and rescaler.codec_quality:
            found["codec"] = rescaler.simulate_codec(seen)
        found["restored"] = rescaler.upscale(
            seen, (22, 27), scale=scale, generator=seeded_generator(1)
        )
        if isinstance(rescaler, BijectiveRescaler) and down.latent is not None:
            found["restored exactly"] = rescaler.upscale(
                seen, (22, 27), scale=scale, latent=down.latent
            )
        if name == "sain":
            found["codec"] = sain_jpeg(seen, 75)
    return {key: _sample(value) for key, value in found.items()}


def set_by_formula(network: nn.Module) -> None:
    """Fill all learned tensors with small waves; constants stay."""
    for number, (name, tensor) in enumerate(network.state_dict().items()):
        constant = any(part in name for part in ("haar_weights", "_mean.", "jpeg.", "num_batches"))
        if constant:
            continue
        k = torch.arange(tensor.numel(), dtype=torch.float64)
        wave = torch.sin(0.7 * k + number).reshape(tensor.shape)
        if "conv_weights" in name:
            tensor += 0.02 * wave.to(tensor)
        elif "running_var" in name:
            tensor.copy_(1 + 0.2 * wave)
        else:
            tensor.copy_(0.04 * wave)


def image(height: int, width: int) -> Tensor:
    """(1, 3, H, W) in [0, 1], smooth, colours apart."""
    y = torch.arange(height, dtype=torch.float64)[:, None]
    x = torch.arange(width, dtype=torch.float64)
    channels = [0.5 + 0.45 * torch.sin(0.31 * x + 0.17 * y * (c + 1) + c) for c in range(3)]
    return torch.stack(channels)[None].float()


def _sample(tensor: Tensor) -> list[float]:
    flat = tensor.flatten()
    positions = torch.linspace(0, flat.numel() - 1, min(SAMPLES, flat.numel())).long()
    return [round(value, 7) for value in flat[positions].tolist()]


if __name__ == "__main__":
    torch.set_num_threads(1)
    STORED.write_text(json.dumps({case: outputs(case) for case in CASES}, indent=1) + "\n")
