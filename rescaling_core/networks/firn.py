"""FIRN: IRN with light sub-networks (github.com/qwopqwop200/Fast-Invertible-Rescaling-Net)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rescaling_core.networks.bijective import SequentialRescaler
from rescaling_core.networks.coupling import InvBlock
from rescaling_core.networks.family import Family
from rescaling_core.networks.haar import Haar
from rescaling_core.networks.irn import chain_operations, deduce_stages
from rescaling_core.networks.latent import LatentPolicy

if TYPE_CHECKING:
    from rescaling_core.networks.family import StateDict
    from rescaling_core.networks.graph import Graph, Node

_STEPS = 3


class FIRN(SequentialRescaler):
    """IRN's x2 and x4 with distillation blocks in place of the dense ones: a fourteenth as large.

    Args:
        scale: A power of two.
        blocks: Coupling blocks after each Haar transform.
        latent_policy: What restoration receives for z.
    """

    family: ClassVar[str] = "firn"

    def __init__(self, *, scale: int, blocks: tuple[int, ...], latent_policy: LatentPolicy) -> None:
        super().__init__(scale=scale, multiple=scale, latent_policy=latent_policy)
        self.blocks = tuple(blocks)
        transforms = [Haar(3 * 4**k) for k in range(len(self.blocks))]
        if scale != 2 ** len(self.blocks):
            raise ValueError(f"x{scale} does not have {len(self.blocks)} stages")
        self.operations = chain_operations(transforms, self.blocks, _Coupling)

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return {"scale": self.scale, "blocks": list(self.blocks)}


class _Coupling(InvBlock):
    """IRN's coupling; F sees the high bands through a 1×1 convolution that halves them.

    Source: FIRN `InvBlockExp`.
    """

    def __init__(self, channels: int) -> None:
        nn.Module.__init__(self)
        self.split, self.clamp = 3, 1.0
        rest = channels - self.split
        self.reduce_conv = nn.Sequential(nn.Conv2d(rest, rest // 2, 1), nn.LeakyReLU(0.2))
        self.F = _Distillation(rest // 2, self.split, distilled=rest // 4)
        self.G = _Distillation(self.split, rest, distilled=3 * self.split, widen=True)
        self.H = _Distillation(self.split, rest, distilled=3 * self.split, widen=True)

    def low_shift(self, high: Tensor) -> Tensor:
        shift: Tensor = self.F(self.reduce_conv(high))
        return shift

    def low_shift_graph(self, g: Graph, high: Node) -> Node:
        reduced = g.leaky(g.conv2d(high, self.reduce_conv[0]))
        return cast("_Distillation", self.F).graph(g, reduced)


class _Distillation(nn.Module):
    """Residual convolutions, each with a narrow exit; the exits are joined and gated.

    Source: FIRN `PADB`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, distilled: int, widen: bool = False
    ) -> None:
        super().__init__()
        width = distilled if widen else in_channels
        if widen:
            self.expandconv = nn.Conv2d(in_channels, width, 3, padding=1)
        self.widen = widen
        for k in range(1, _STEPS + 1):
            self.add_module(f"c{k}_d", nn.Conv2d(width, distilled, 1))
            self.add_module(f"c{k}_r", nn.Conv2d(width, width, 3, padding=1))
        self.c4 = nn.Conv2d(width, distilled, 3, padding=1)
        self.c5 = nn.Conv2d((_STEPS + 1) * distilled, out_channels, 1)
        self.PA = _PixelAttention(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.widen:
            x = F.leaky_relu(self.expandconv(x), 0.2)
        exits = []
        for k in range(1, _STEPS + 1):
            exits.append(F.leaky_relu(getattr(self, f"c{k}_d")(x), 0.2))
            x = F.leaky_relu(getattr(self, f"c{k}_r")(x) + x, 0.2)
        exits.append(F.leaky_relu(self.c4(x), 0.2))
        out: Tensor = self.PA(self.c5(torch.cat(exits, dim=1)))
        return out

    def graph(self, g: Graph, x: Node) -> Node:
        if self.widen:
            x = g.leaky(g.conv2d(x, self.expandconv))
        exits = []
        for k in range(1, _STEPS + 1):
            exits.append(g.leaky(g.conv2d(x, getattr(self, f"c{k}_d"))))
            x = g.leaky(g.add(g.conv2d(x, getattr(self, f"c{k}_r")), x))
        exits.append(g.leaky(g.conv2d(x, self.c4)))
        out = g.conv2d(g.join(*exits), self.c5)
        return g.mul(out, g.op("Sigmoid", g.conv2d(out, self.PA.conv)))


class _PixelAttention(nn.Module):
    """x·σ(conv(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv(x))


def _deduce(state_dict: StateDict) -> dict[str, Any]:
    stages = deduce_stages(state_dict)
    if "operations.1.reduce_conv.0.weight" not in state_dict:
        raise ValueError("no reducing convolution")
    return {"scale": stages["scale"], "blocks": stages["blocks"]}


FAMILY = Family(
    rescaler=FIRN,
    title="FIRN (2021, code only)",
    latent_policy=LatentPolicy("gaussian"),
    deduce=_deduce,
)
