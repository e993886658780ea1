"""The logarithm of |det J| that the official networks report, from the outside of ours."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import torch
from torch import Tensor, nn

from rescaling_core.networks.coupling import InvBlock
from rescaling_core.networks.haar import Haar


def log_determinant(
    network: nn.Module, run: Callable[[], Tensor], batch: int, size: tuple[int, int], sign: int
) -> Tensor:
    """Sum of the couplings' log gains (mean over the batch), and the Haar transforms' constants.

    Args:
        network: With `InvBlock` and `Haar` inside.
        run: Passes data through it once, either way.
        batch: Images in that.
        size: (H, W) of the HR image.
        sign: 1 forward, −1 backward.
    """
    gains: list[Tensor] = []
    hooks = [
        block.H.register_forward_hook(
            lambda _module, _inputs, output: gains.append(torch.tanh(output / 2).sum())
        )
        for block in network.modules()
        if isinstance(block, InvBlock)
    ]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    values = 3 * size[0] * size[1]
    haars = sum(isinstance(module, Haar) for module in network.modules())
    return sign * (torch.stack(gains).sum() / batch - haars * values / 4 * log(16))
