"""The training losses of the papers, as pure functions of what a training step computed."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHARBONNIER_EPSILON: Final = 1e-6
"""The constant inside the root of the Charbonnier distance."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What to minimise, and what it is made of."""

    total: Tensor
    """The loss to minimise, a scalar."""
    terms: Mapping[str, Tensor]
    """Weighted parts by name, scalars, for the log. Their sum need not be the total."""


def charbonnier_sum(a: Tensor, b: Tensor) -> Tensor:
    """Mean over the batch of the sum of √(d² + 1e-6), which the papers call l1.

    Args:
        a: (B, …), any range.
        b: The same shape.

    Source: IRN `ReconstructionLoss`.
    """
    return torch.sqrt((a - b) ** 2 + _CHARBONNIER_EPSILON).sum() / a.shape[0]


def l2_sum(a: Tensor, b: Tensor) -> Tensor:
    """Mean over the batch of the sum of squared differences of two (B, …)."""
    return ((a - b) ** 2).sum() / a.shape[0]


def irn_loss(
    *,
    hr: Tensor,
    restored: Tensor,
    lr: Tensor,
    lr_reference: Tensor,
    latent: Tensor | None,
    scale: float,
    guidance: float = 1.0,
) -> Loss:
    """IRN's loss: Charbonnier(HR) + s²·L2(LR, bicubic) + Σz²/B.

    Args:
        hr: (B, 3, H, W).
        restored: The inverse of the quantised LR image and a latent drawn as the policy says.
        lr: (B, 3, h, w), not quantised.
        lr_reference: The bicubic LR image.
        latent: The latent of the forward pass; None leaves its term out.
        scale: HR side / LR side. s² balances the sums, since the LR image has s² fewer pixels.
        guidance: A further factor on the LR term; 1 in the paper, ¼/s² in T-IRN.

    Source: IRN `IRN_model.py`; fine-tuning for compression takes `charbonnier_sum` for both terms.
    """
    terms = {
        "restoration": charbonnier_sum(restored, hr),
        "guidance": guidance * scale**2 * l2_sum(lr, lr_reference),
    }
    if latent is not None:
        terms["latent"] = (latent**2).sum() / latent.shape[0]
    return Loss(torch.stack(list(terms.values())).sum(), MappingProxyType(terms))


def sain_loss(
    *,
    hr: Tensor,
    restored: Tensor,
    lr: Tensor,
    lr_quantised: Tensor,
    lr_restored: Tensor,
    lr_compressed: Tensor,
    lr_reference: Tensor,
    lr_reference_decoded: Tensor,
    lr_decoded: Tensor,
    scale: float,
) -> Loss:
    """SAIN's loss: Charbonnier(HR) + ¼·s²·(L2(q, b) + L2(ŷ, R(b)) + L2(Q(q), q̂) + L2(ŷ, R(Q(q)))).

    Args:
        hr: (B, 3, H, W).
        restored: x̂, the inverse of the simulated-codec LR image and a draw from the mixture.
        lr: q, the LR image to store, not quantised.
        lr_quantised: Q(q), with its straight-through gradient.
        lr_restored: q̂, the by-product of that inverse.
        lr_compressed: ŷ, the network's prediction of the LR image after the codec.
        lr_reference: b, the bicubic LR image.
        lr_reference_decoded: R(b), b through the real codec; a constant.
        lr_decoded: R(Q(q)), the LR image through the real codec; a constant.
        scale: HR side / LR side.

    Source: SAIN `SAIN_model.py`.
    """
    weight = scale**2
    terms = {
        "restoration": charbonnier_sum(restored, hr),
        "guidance": weight * l2_sum(lr, lr_reference),
        "compressed guidance": weight * l2_sum(lr_compressed, lr_reference_decoded.detach()),
        "lr restoration": weight * l2_sum(lr_quantised, lr_restored),
        "compression": weight * l2_sum(lr_compressed, lr_decoded.detach()),
    }
    restoration, *others = terms.values()
    return Loss(restoration + torch.stack(others).sum() / 4, MappingProxyType(terms))


def aidn_loss(*, hr: Tensor, restored: Tensor, lr: Tensor, lr_reference: Tensor) -> Loss:
    """AIDN's loss: plain means, L1(HR) + MSE(LR, bicubic); the LR image is not quantised.

    Source: AIDN `main/train.py`.
    """
    terms = {"restoration": l1_loss(restored, hr), "guidance": mse_loss(lr, lr_reference)}
    return Loss(terms["restoration"] + terms["guidance"], MappingProxyType(terms))
