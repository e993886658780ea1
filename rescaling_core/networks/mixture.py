"""The learned Gaussian mixture that SAIN draws its latents from."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

_CHUNK: Final = 2**18
"""Latent values drawn at a time. This decides the order of random numbers, so it must never
change."""


class GaussianMixture(nn.Module):
    """A mixture of scalar Gaussians, shared by all channels and positions.

    Rows of `gmm_para`: logits of the weights, means, logarithms of the variances.

    Source: SAIN `GMM`. Training reaches the parameters through the straight-through Gumbel
    softmax.
    """

    def __init__(self, components: int) -> None:
        super().__init__()
        self.gmm_para = nn.Parameter(1e-4 * torch.randn(3, components))

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Draw a latent of `shape`; the random numbers come from the CPU.

        Up to a quarter of a million values the numbers are consumed in the official order.
        """
        count = torch.Size(shape).numel()
        chunks = []
        for start in range(0, count, _CHUNK):
            noise = (min(_CHUNK, count - start), self.gmm_para.shape[1])
            waiting = torch.empty(noise).exponential_(generator=generator)
            normal = torch.randn(noise, generator=generator)
            chunks.append(self.select(waiting, normal))
        return torch.cat(chunks).reshape(shape)

    def select(self, waiting: Tensor, normal: Tensor) -> Tensor:
        """Turn noise into draws.

        Args:
            waiting: (…, K), Exp(1): its smallest value relative to the weights picks a component.
            normal: (…, K), N(0, 1).

        Returns:
            (…), on the device of the parameters.
        """
        logits, mean, log_variance = self.gmm_para
        scores = torch.log_softmax(logits, dim=0) - torch.log(waiting.to(logits))
        soft = torch.softmax(scores, dim=-1)
        hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
        choice = hard - soft.detach() + soft if torch.is_grad_enabled() else hard
        deviation = torch.exp(0.5 * log_variance.clamp(-20, 20))
        return torch.sum(choice * (mean + deviation * normal.to(logits)), dim=-1)
