"""IRN with its compression-restoring module, for lossy LR files (Xiao et al., IJCV 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from torch import Tensor, nn

from rescaling_core.networks.coupling import DenseBlock
from rescaling_core.networks.family import Family
from rescaling_core.networks.irn import IRN, deduce
from rescaling_core.networks.latent import LatentPolicy
from rescaling_core.networks.quantise import quantise

if TYPE_CHECKING:
    import torch

    from rescaling_core.networks.family import StateDict
    from rescaling_core.networks.graph import Graph, Node

_RESIDUAL_SCALE = 0.2


class IRNCRM(IRN):
    """IRN; before restoration, a network undoes what the codec did to the LR image.

    Officially two files, the IRN and the CRM; here one network with the keys of both.

    Args:
        scale: See `IRN`.
        blocks: See `IRN`.
        growth: See `IRN`.
        depth: See `IRN`.
        down_first: See `IRN`.
        crm_features: Channels throughout the CRM.
        crm_blocks: Its residual-in-residual dense blocks.
        crm_growth: Channels that each convolution in them adds.
        latent_policy: What restoration receives for z.

    Source: IRN `RRDBNet`, trained for JPEG at quality 90 with the IRN frozen.
    """

    family: ClassVar[str] = "irn-crm"

    def __init__(
        self,
        *,
        scale: int,
        blocks: tuple[int, ...],
        growth: int = 32,
        depth: int = 5,
        down_first: bool = False,
        crm_features: int = 64,
        crm_blocks: int = 8,
        crm_growth: int = 32,
        latent_policy: LatentPolicy,
    ) -> None:
        super().__init__(
            scale=scale,
            blocks=blocks,
            growth=growth,
            depth=depth,
            down_first=down_first,
            latent_policy=latent_policy,
        )
        self._crm = {
            "crm_features": crm_features, "crm_blocks": crm_blocks, "crm_growth": crm_growth
        }  # fmt: skip
        self.conv_first = nn.Conv2d(3, crm_features, 3, padding=1)
        self.RRDB_trunk = nn.Sequential(
            *(_RRDB(crm_features, crm_growth) for _ in range(crm_blocks))
        )
        self.trunk_conv = nn.Conv2d(crm_features, crm_features, 3, padding=1)
        self.conv_last = nn.Conv2d(crm_features, 3, 3, padding=1)

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return super().config | self._crm

    def restore_lr(self, lr: Tensor) -> Tensor:
        """Undo the codec: (B, 3, h, w) decoded → (B, 3, h, w), not quantised."""
        features = self.conv_first(lr)
        restored: Tensor = self.conv_last(features + self.trunk_conv(self.RRDB_trunk(features)))
        return restored

    def upscale(
        self,
        lr: Tensor,
        size: tuple[int, int],
        *,
        scale: float,
        latent: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """See `Rescaler.upscale`."""
        lr = quantise(self.restore_lr(lr))
        return super().upscale(lr, size, scale=scale, latent=latent, generator=generator)

    def lr_graph(self, g: Graph, lr: Node) -> Node:
        """See `BijectiveRescaler.lr_graph`: `restore_lr`, quantised."""
        features = g.conv2d(lr, self.conv_first)
        x = features
        for block in self.RRDB_trunk:
            x = cast("_RRDB", block).graph(g, x)
        x = g.conv2d(g.add(features, g.conv2d(x, self.trunk_conv)), self.conv_last)
        levels = g.op("Round", g.scaled(g.clamp(x), 255.0))
        return g.op("Div", levels, g.constant(255.0))


class _RRDB(nn.Module):
    """Three dense blocks, each and all around a scaled-down residual."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.RDB1 = DenseBlock(features, features, growth=growth)
        self.RDB2 = DenseBlock(features, features, growth=growth)
        self.RDB3 = DenseBlock(features, features, growth=growth)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for block in (self.RDB1, self.RDB2, self.RDB3):
            y = y + _RESIDUAL_SCALE * block(y)
        return x + _RESIDUAL_SCALE * y

    def graph(self, g: Graph, x: Node) -> Node:
        y = x
        for block in (self.RDB1, self.RDB2, self.RDB3):
            y = g.add(y, g.scaled(block.graph(g, y), _RESIDUAL_SCALE))
        return g.add(x, g.scaled(y, _RESIDUAL_SCALE))


def deduce_crm(state_dict: StateDict) -> dict[str, Any]:
    """The part of the config that describes the CRM, from its official file."""
    trunk = {int(key.split(".")[1]) for key in state_dict if key.startswith("RRDB_trunk.")}
    return {
        "crm_features": state_dict["conv_first.weight"].shape[0],
        "crm_blocks": max(trunk) + 1,
        "crm_growth": state_dict["RRDB_trunk.0.RDB1.conv1.weight"].shape[0],
    }


FAMILY = Family(
    rescaler=IRNCRM,
    title="IRN with compression-restoring module (IJCV 2022)",
    latent_policy=LatentPolicy("gaussian"),
    deduce=lambda state_dict: deduce(state_dict) | deduce_crm(state_dict),
)
