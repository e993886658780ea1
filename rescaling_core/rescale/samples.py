"""8-bit samples to what networks take, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from rescaling_core.networks.bijective import BijectiveRescaler

if TYPE_CHECKING:
    from torch import Tensor

    from rescaling_core.networks.base import Rescaler
    from rescaling_core.pixels.arrays import U8Array


def device_of(rescaler: Rescaler) -> torch.device:
    """Where its weights are."""
    return next((p.device for p in rescaler.parameters()), torch.device("cpu"))


def lr_channels_of(rescaler: Rescaler) -> int:
    """Planes of its LR images: 1 where colours are hidden in a grey one, else 3."""
    return rescaler.lr_channels if isinstance(rescaler, BijectiveRescaler) else 3


def as_tensor(pixels: U8Array, device: torch.device, channels: int = 3) -> Tensor:
    """(H, W, C) 0-255 → (1, channels, H, W) in [0, 1]; grey is repeated."""
    tensor = torch.tensor(pixels, device=device)
    return tensor.permute(2, 0, 1)[None].expand(1, channels, -1, -1).float() / 255


def as_pixels(image: Tensor, channels: int) -> U8Array:
    """(3, H, W) → (H, W, C) 0-255, clamped and rounded half to even; grey is the mean."""
    if channels == 1:
        image = image.mean(dim=0, keepdim=True)
    rounded = (image.clamp(0, 1) * 255).round().to(torch.uint8)
    return rounded.permute(1, 2, 0).cpu().numpy()
