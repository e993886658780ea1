"""Networks of coupling blocks rearranged for inference: the same sums, fewer and larger steps."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from rescaling_core.engine.dense import DenseBranches
from rescaling_core.networks.coupling import DenseBlock, InvBlock
from rescaling_core.networks.haar import Haar
from rescaling_core.networks.irn import IRN
from rescaling_core.networks.sain import SAIN, EnhancedInvBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rescaling_core.networks.base import Rescaler

    Join = Callable[..., nn.Module]
    """Makes one module out of dense blocks that see the same input."""


class FusedBlock(nn.Module):
    """`InvBlock`, G and H run together. It carries (l, h) instead of one tensor."""

    def __init__(self, block: InvBlock, join: Join) -> None:
        super().__init__()
        self.clamp = block.clamp
        self.F, self.GH = join(block.F), join(block.G, block.H)

    def to_lr(self, low: Tensor, high: Tensor) -> Tensor:
        """The LR image alone, where this block is the last: G and H are not needed for it."""
        return cast("Tensor", low + self.F(high)[0])

    def forward(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """(l, h) → (l', h')."""
        low = self.to_lr(low, high)
        shift, gate = self.GH(low)
        return low, high * torch.exp(self._log_gain(gate)) + shift

    def inverse(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `forward`."""
        high = self._inverse_high(low, high)
        shift = self.F(high)[0]
        return low - shift, high

    def _inverse_high(self, low: Tensor, high: Tensor) -> Tensor:
        shift, gate = self.GH(low)
        restored: Tensor = (high - shift) * torch.exp(-self._log_gain(gate))
        return restored

    def _log_gain(self, gate: Tensor) -> Tensor:
        return self.clamp * torch.tanh(gate / 2)  # 2σ(x) − 1


class FusedEnhancedBlock(FusedBlock):
    """`EnhancedInvBlock`: E and F run together too."""

    def __init__(self, block: EnhancedInvBlock, join: Join) -> None:
        super().__init__(block, join)
        self.E, self.EF = join(block.E), join(block.E, block.F)
        del self.F

    def to_lr(self, low: Tensor, high: Tensor) -> Tensor:
        """Q alone, which is SAIN's LR image."""
        return cast("Tensor", low + self.E(high)[0])

    def forward(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """(l, h) → (l', h')."""
        enhanced, shift = self.EF(high)
        low = low + enhanced - shift
        shift, gate = self.GH(low)
        return low, high * torch.exp(self._log_gain(gate)) + shift

    def inverse(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `forward`."""
        high = self._inverse_high(low, high)
        enhanced, shift = self.EF(high)
        return low + shift - enhanced, high


class FusedDown(nn.Module):
    """HR → LR: all blocks that the LR image depends on."""

    def __init__(self, operations: Sequence[nn.Module], split: int) -> None:
        super().__init__()
        self.operations, self.split = nn.ModuleList(operations), split

    def forward(self, hr: Tensor) -> Tensor:
        """(B, 3, H, W), sides multiples of the scale → (B, 3, h, w)."""
        state: tuple[Tensor, ...] = (hr,)
        *before, last = self.operations
        for operation in before:
            state = _step(operation, state, self.split)
        return cast("Tensor", cast("Any", last).to_lr(*state))


class FusedUp(nn.Module):
    """LR and latent → HR."""

    def __init__(self, operations: Sequence[nn.Module], split: int, latent_channels: int) -> None:
        super().__init__()
        self.operations, self.split = nn.ModuleList(operations), split
        self.latent_channels = latent_channels

    def forward(self, lr: Tensor, latent: Tensor | None = None) -> Tensor:
        """(B, 3, h, w) and (B, C, h, w), zeros where it is None → (B, 3, H, W)."""
        if latent is None:
            latent = torch.zeros_like(lr[:, :1]).expand(-1, self.latent_channels, -1, -1)
        state: tuple[Tensor, ...] = (lr, latent)
        for operation in reversed(self.operations):
            if isinstance(operation, Haar):
                x = operation.inverse(torch.cat(state, dim=1))
                state = (x,) if x.shape[1] == self.split else _halves(x, self.split)
            else:
                state = cast("FusedBlock", operation).inverse(*state)
        return state[0]


def fuse(rescaler: Rescaler, join: Join | None = None) -> tuple[FusedDown, FusedUp] | None:
    """Both directions of a network of coupling blocks, with the same weights.

    Args:
        rescaler: Any; it is not changed, and later changes of its weights are not seen.
        join: Makes one module out of dense blocks with the same input; by default
            `DenseBranches` that are joined in their first convolution.

    Returns:
        None if the network is not made of Haar transforms and the coupling blocks known here.
    """
    join = join or (lambda *blocks: DenseBranches(*blocks, fusion="separate"))
    if type(rescaler) is IRN:
        operations = needed = list(rescaler.operations)
    elif type(rescaler) is SAIN:
        needed = [*rescaler.haar_operations, *rescaler.down_operations]
        operations = [*needed, *rescaler.comp_operations]
    else:
        return None
    if not all(map(_is_known, operations)) or isinstance(needed[-1], Haar):
        return None
    fused = [
        deepcopy(op) if isinstance(op, Haar) else _fused(cast("InvBlock", op), join)
        for op in operations
    ]
    split = rescaler.lr_channels
    return (
        FusedDown(fused[: len(needed)], split).eval(),
        FusedUp(fused, split, rescaler.latent_channels).eval(),
    )


def _step(operation: nn.Module, state: tuple[Tensor, ...], split: int) -> tuple[Tensor, ...]:
    if isinstance(operation, Haar):
        return _halves(operation(torch.cat(state, dim=1)), split)
    return cast("tuple[Tensor, Tensor]", operation(*state))


def _halves(x: Tensor, split: int) -> tuple[Tensor, Tensor]:
    return x[:, :split], x[:, split:]


def _is_known(operation: nn.Module) -> bool:
    if isinstance(operation, Haar):
        return True
    if type(operation) not in (InvBlock, EnhancedInvBlock):
        return False
    return all(isinstance(child, DenseBlock) for child in operation.children())


def _fused(block: InvBlock, join: Join) -> FusedBlock:
    if isinstance(block, EnhancedInvBlock):
        return FusedEnhancedBlock(block, join)
    return FusedBlock(block, join)
