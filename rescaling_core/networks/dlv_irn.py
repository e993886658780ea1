"""DLV-IRN: IRN with a latent for downscaling, too (Zhang et al., CVPRW 2022): our reading of it.

There is no official code, and the public abstract does not say how the second latent enters. What
follows is an interpretation, no parity is claimed, and every card of the family says so: the
downscaling latent is `extra` channels beside RGB in the input, N(0, 1) where several LR images of
one HR image are wanted (training), zeros otherwise; the inverse drops what comes out in their
place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from rescaling_core.networks.base import Downscaled
from rescaling_core.networks.bijective import SequentialRescaler, pad_to_multiple
from rescaling_core.networks.coupling import InvBlock, dense_block_config
from rescaling_core.networks.family import Family
from rescaling_core.networks.haar import Haar
from rescaling_core.networks.irn import chain_operations, deduce_stages
from rescaling_core.networks.latent import LatentPolicy, gaussian_latent

if TYPE_CHECKING:
    from rescaling_core.networks.family import StateDict
    from rescaling_core.networks.graph import Graph, Node


class DLVIRN(SequentialRescaler):
    """IRN over RGB and `extra` latent channels.

    Args:
        scale: A power of two.
        blocks: Coupling blocks after each Haar transform.
        extra: Channels of the downscaling latent.
        growth: Channels that each convolution of a dense block adds.
        depth: Convolutions in a dense block.
        latent_policy: What restoration receives for z.
    """

    family: ClassVar[str] = "dlv-irn"

    def __init__(
        self,
        *,
        scale: int,
        blocks: tuple[int, ...],
        extra: int = 1,
        growth: int = 32,
        depth: int = 5,
        latent_policy: LatentPolicy,
    ) -> None:
        super().__init__(scale=scale, multiple=scale, latent_policy=latent_policy)
        if scale != 2 ** len(blocks) or extra < 0:
            raise ValueError(f"x{scale} does not have {len(blocks)} stages, or extra < 0")
        self.blocks, self.extra, self.growth, self.depth = tuple(blocks), extra, growth, depth
        self.operations = chain_operations(
            [Haar((3 + extra) * 4**k) for k in range(len(blocks))],
            self.blocks,
            lambda channels: InvBlock(channels, growth=growth, depth=depth),
        )

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return {
            "scale": self.scale,
            "blocks": list(self.blocks),
            "extra": self.extra,
            "growth": self.growth,
            "depth": self.depth,
        }

    @property
    def latent_channels(self) -> int:
        """See `BijectiveRescaler.latent_channels`."""
        return (3 + self.extra) * self.scale**2 - self.lr_channels

    def downscale(
        self, hr: Tensor, scale: float, *, generator: torch.Generator | None = None
    ) -> Downscaled:
        """See `Rescaler.downscale`.

        Args:
            hr: (B, 3, H, W).
            scale: HR side / LR side.
            generator: Where the downscaling latent is drawn from; zeros if None.
        """
        self.check_scale(scale)
        x = pad_to_multiple(hr, self.multiple)
        b, _, h, w = x.shape
        shape = (b, self.extra, h, w)
        v = torch.zeros(shape) if generator is None else gaussian_latent(shape, 1.0, generator)
        y = super().encode(torch.cat((x, v.to(x)), dim=1))
        return Downscaled(lr=y[:, :3], latent=y[:, 3:])

    def encode(self, x: Tensor) -> Tensor:
        """See `BijectiveRescaler.encode`; the downscaling latent is zero."""
        b, _, h, w = x.shape
        return super().encode(torch.cat((x, x.new_zeros(b, self.extra, h, w)), dim=1))

    def decode(self, y: Tensor) -> Tensor:
        """See `BijectiveRescaler.decode`."""
        return super().decode(y)[:, :3]

    def decode_graph(self, g: Graph, y: Node) -> Node:
        """See `BijectiveRescaler.decode_graph`."""
        x = super().decode_graph(g, y)
        return g.split(x, 3, self.extra)[0] if self.extra else x


def _deduce(state_dict: StateDict) -> dict[str, Any]:
    stages = deduce_stages(state_dict)
    return {
        "scale": stages["scale"],
        "blocks": stages["blocks"],
        "extra": state_dict["operations.0.haar_weights"].shape[0] // 4 - 3,
        **dense_block_config(state_dict, "operations"),
    }


FAMILY = Family(
    rescaler=DLVIRN,
    title="DLV-IRN (CVPRW 2022), Refold's reading: there is no official code",
    latent_policy=LatentPolicy("gaussian"),
    deduce=_deduce,
    notes=(
        "No official code exists, and the paper's abstract does not say how its downscaling latent "
        "enters. This is Refold's reading: extra input channels, N(0, 1) to vary the LR image and "
        "zeros otherwise, dropped after the inverse. No parity with the paper is claimed."
    ),
)
