"""What an engine is, and the two that are plain torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from rescaling_core.engine.fused import FusedDown, FusedUp
    from rescaling_core.networks.bijective import BijectiveRescaler


class Engine(Protocol):
    """Runs both directions of a network on batches of tiles."""

    batch: int
    """How many tiles of one shape are worth running together."""

    def downscale(self, hr: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], sides multiples of the scale → (B, 3, h, w)."""

    def upscale(self, lr: Tensor, latent: Tensor | None) -> Tensor:
        """(B, 3, h, w) and (B, C, h, w), or None for what the policy gives unasked → HR."""


class PlainEngine:
    """The network itself."""

    batch = 1

    def __init__(self, rescaler: BijectiveRescaler) -> None:
        self._rescaler = rescaler

    def downscale(self, hr: Tensor) -> Tensor:
        """See `Engine.downscale`."""
        with torch.inference_mode():
            return self._rescaler.downscale(hr, self._rescaler.scale).lr

    def upscale(self, lr: Tensor, latent: Tensor | None) -> Tensor:
        """See `Engine.upscale`."""
        scale = self._rescaler.scale
        size = (lr.shape[-2] * scale, lr.shape[-1] * scale)
        with torch.inference_mode():
            return self._rescaler.upscale(lr, size, scale=scale, latent=latent)


class FusedEngine:
    """Fused blocks in channels-last order."""

    def __init__(self, down: FusedDown, up: FusedUp, *, batch: int = 1) -> None:
        self._down = down.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._up = up.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.batch = batch

    def downscale(self, hr: Tensor) -> Tensor:
        """See `Engine.downscale`."""
        with torch.inference_mode():
            return cast("Tensor", self._down(hr.contiguous(memory_format=torch.channels_last)))

    def upscale(self, lr: Tensor, latent: Tensor | None) -> Tensor:
        """See `Engine.upscale`; None is z = 0."""
        with torch.inference_mode():
            lr = lr.contiguous(memory_format=torch.channels_last)
            return cast("Tensor", self._up(lr, None if latent is None else latent.to(lr)))
