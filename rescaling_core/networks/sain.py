"""SAIN: self-asymmetric invertible rescaling for compressed LR images (Yang et al., AAAI 2023)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn

from rescaling_core.networks.base import Downscaled
from rescaling_core.networks.bijective import BijectiveRescaler, pad_to_multiple
from rescaling_core.networks.coupling import DenseBlock, InvBlock, dense_block_config
from rescaling_core.networks.family import Family
from rescaling_core.networks.haar import Haar
from rescaling_core.networks.latent import LatentKind, LatentPolicy
from rescaling_core.networks.mixture import GaussianMixture

if TYPE_CHECKING:
    from rescaling_core.networks.family import StateDict
    from rescaling_core.networks.graph import Graph, Node


class EnhancedInvBlock(InvBlock):
    """IRN's coupling with a detour: q = l + E(h), l' = q − F(h), h' as there.

    q is an LR image of high quality; l' is on the way to what a codec will make of it.

    Source: SAIN `EInvBlockExp`.
    """

    def __init__(self, channels: int, *, split: int = 3, growth: int = 32, depth: int = 5) -> None:
        super().__init__(channels, split=split, growth=growth, depth=depth)
        self.E = DenseBlock(channels - split, split, growth=growth, depth=depth)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        return self.forward_with_lr(x)[0]

    def forward_with_lr(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, and q: (B, 3, h, w)."""
        low, high = x[:, : self.split], x[:, self.split :]
        q = low + self.E(high)
        low = q - self.F(high)
        return torch.cat((low, high * torch.exp(self.log_gain(low)) + self.G(low)), dim=1), q

    def inverse(self, y: Tensor) -> Tensor:
        """The inverse of `forward`."""
        return self.inverse_with_lr(y)[0]

    def inverse_with_lr(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As `inverse`, and q."""
        low, high = y[:, : self.split], y[:, self.split :]
        high = (high - self.G(low)) * torch.exp(-self.log_gain(low))
        q = low + self.F(high)
        return torch.cat((q - self.E(high), high), dim=1), q

    def inverse_graph(self, g: Graph, y: Node, channels: int) -> Node:
        """`inverse` as nodes."""
        low, high = g.split(y, self.split, channels - self.split)
        high = self._inverse_high_graph(g, low, high)
        q = g.add(low, self.low_shift_graph(g, high))
        return g.join(g.sub(q, self.E.graph(g, high)), high)


class SAIN(BijectiveRescaler):
    """All Haar transforms first, then enhanced blocks, then IRN's blocks.

    The forward pass gives two LR images: q of the last enhanced block, which is stored, and the
    first three channels of the end, which predict what a codec makes of it. The bijection is
    between the HR image and (prediction, z); q is a by-product, so restoring from q itself is
    close, not exact.

    Args:
        scale: A power of two.
        enhanced_blocks: Number of `EnhancedInvBlock`.
        blocks: Number of `InvBlock`.
        growth: Channels that each convolution of a dense block adds.
        depth: Convolutions in a dense block.
        components: Of the mixture that stands in for z.
        latent_policy: What restoration receives for z.
    """

    family: ClassVar[str] = "sain"
    latent_kinds: ClassVar[tuple[LatentKind, ...]] = ("mixture", "gaussian", "zeros")

    def __init__(
        self,
        *,
        scale: int,
        enhanced_blocks: int,
        blocks: int,
        growth: int = 32,
        depth: int = 5,
        components: int = 5,
        latent_policy: LatentPolicy,
    ) -> None:
        super().__init__(scale=scale, multiple=scale, latent_policy=latent_policy)
        if scale < 2 or scale & (scale - 1) or enhanced_blocks < 1:
            raise ValueError("the scale is a power of two, and one enhanced block is needed")
        self.growth, self.depth, self.components = growth, depth, components
        channels = 3 * scale**2
        self.haar_operations = nn.ModuleList(Haar(3 * 4**k) for k in range(scale.bit_length() - 1))
        self.down_operations = nn.ModuleList(
            EnhancedInvBlock(channels, growth=growth, depth=depth) for _ in range(enhanced_blocks)
        )
        self.comp_operations = nn.ModuleList(
            InvBlock(channels, growth=growth, depth=depth) for _ in range(blocks)
        )
        self.gmm = GaussianMixture(components)

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return {
            "scale": self.scale,
            "enhanced_blocks": len(self.down_operations),
            "blocks": len(self.comp_operations),
            "growth": self.growth,
            "depth": self.depth,
            "components": self.components,
        }

    def encode(self, x: Tensor) -> Tensor:
        """See `BijectiveRescaler.encode`; the first three channels are the prediction."""
        return self.encode_with_lr(x)[0]

    def encode_with_lr(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As `encode`, and q: (B, 3, H/s, W/s)."""
        for haar in self.haar_operations:
            x = haar(x)
        q = x
        for block in self.down_operations:
            x, q = cast("EnhancedInvBlock", block).forward_with_lr(x)
        for block in self.comp_operations:
            x = block(x)
        return x, q

    def decode(self, y: Tensor) -> Tensor:
        """See `BijectiveRescaler.decode`."""
        return self.decode_with_lr(y)[0]

    def decode_graph(self, g: Graph, y: Node) -> Node:
        """See `BijectiveRescaler.decode_graph`."""
        channels = self.lr_channels + self.latent_channels
        for block in reversed([*self.down_operations, *self.comp_operations]):
            y = cast("InvBlock", block).inverse_graph(g, y, channels)
        for haar in reversed(self.haar_operations):
            y = cast("Haar", haar).inverse_graph(g, y, channels)
            channels //= 4
        return y

    def latent_note(self) -> dict[str, Any]:
        """See `BijectiveRescaler.latent_note`: rows of `GaussianMixture.gmm_para`."""
        return {"mixture": self.gmm.gmm_para.detach().cpu().tolist()}

    def decode_with_lr(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """As `decode`, and q as the inverse finds it."""
        for block in reversed(self.comp_operations):
            y = cast("InvBlock", block).inverse(y)
        y, q = cast("EnhancedInvBlock", self.down_operations[-1]).inverse_with_lr(y)
        for block in reversed(self.down_operations[:-1]):
            y = cast("EnhancedInvBlock", block).inverse(y)
        for haar in reversed(self.haar_operations):
            y = cast("Haar", haar).inverse(y)
        return y, q

    def downscale(self, hr: Tensor, scale: float) -> Downscaled:
        """See `Rescaler.downscale`; the LR image is q."""
        self.check_scale(scale)
        y, q = self.encode_with_lr(pad_to_multiple(hr, self.multiple))
        return Downscaled(lr=q, latent=y[:, 3:], lr_compressed=y[:, :3])

    def draw_latent(self, shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
        """See `Rescaler.draw_latent`."""
        if self.latent_policy.kind != "mixture":
            return super().draw_latent(shape, generator)
        return self.gmm.draw(shape, self.need(generator))


def _deduce(state_dict: StateDict) -> dict[str, Any]:
    def count(container: str) -> int:
        pattern = re.compile(rf"{container}\.(\d+)\.")
        return 1 + max((int(m[1]) for key in state_dict if (m := pattern.match(key))), default=-1)

    return {
        "scale": 2 ** count("haar_operations"),
        "enhanced_blocks": count("down_operations"),
        "blocks": count("comp_operations"),
        "components": state_dict["gmm.gmm_para"].shape[1],
        **dense_block_config(state_dict, "down_operations"),
    }


FAMILY = Family(
    rescaler=SAIN,
    title="SAIN (AAAI 2023)",
    latent_policy=LatentPolicy("mixture"),
    deduce=_deduce,
)
