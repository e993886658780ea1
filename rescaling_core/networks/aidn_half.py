"""Half of AIDN: one network that scales up, or one that scales down."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from rescaling_core.networks.aidn_layers import MeanShift, Resampling, ResidualBlock, ScaleAdapter

if TYPE_CHECKING:
    from rescaling_core.networks.base import Window
    from rescaling_core.networks.graph import Graph, Node
    from rescaling_core.networks.place_graph import Place


class Half(nn.Module):
    """EDSR with scale adapters, then resampling to any size.

    Source: AIDN `EDRS`.
    """

    def __init__(
        self,
        features: int,
        residual_blocks: int,
        adapt_every: int,
        kernel_experts: int,
        sample_experts: int,
        *,
        fixed_scale: int | None,
        aligned: bool,
        up: bool,
    ) -> None:
        super().__init__()
        self.adapt_every = adapt_every
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.head = nn.Sequential(nn.Conv2d(3, features, 3, padding=1))
        self.body = nn.ModuleList(ResidualBlock(features) for _ in range(residual_blocks))
        self.body.append(nn.Conv2d(features, features, 3, padding=1))
        self.tail = nn.ModuleDict({"1": nn.Conv2d(features, 3, 3, padding=1)})
        if fixed_scale is not None:
            self.tail["0"] = _fixed_resampling(features, int(log2(fixed_scale)), up=up)
            return
        self.sa_adapt = nn.ModuleList(
            ScaleAdapter(features, kernel_experts) for _ in range(residual_blocks // adapt_every)
        )
        self.sa_sample = Resampling(features, sample_experts, aligned=aligned)

    def start_as_resampling(self) -> None:
        """See `AIDN.start_as_resampling`."""
        head, body, tail = self.head[0], self.body[-1], self.tail["1"]
        assert isinstance(head, nn.Conv2d)
        assert isinstance(body, nn.Conv2d)
        assert isinstance(tail, nn.Conv2d)
        assert head.bias is not None
        assert tail.bias is not None
        rgb = torch.zeros_like(head.weight[:3])
        rgb[:, :, 1, 1] = torch.eye(3)
        head.weight[:3] = rgb
        tail.weight.mul_(0.1)[:, :3] = rgb
        silent = (*body.parameters(), *self.sa_sample.offset.parameters())
        for parameter in (head.bias, tail.bias, self.sa_sample.weight_expand, *silent):
            nn.init.zeros_(parameter)

    def forward(
        self,
        x: Tensor,
        sigma: float,
        size: tuple[int, int],
        part: tuple[Window, Window] | None = None,
    ) -> Tensor:
        """(B, 3, H, W) → (B, 3, *size), `sigma` times as large; both only a part if so asked."""
        x = self.head(self.sub_mean(x))
        r = x
        *blocks, last = self.body
        for count, block in enumerate(blocks, start=1):
            r = block(r)
            if "0" not in self.tail and count % self.adapt_every == 0:
                r = self.sa_adapt[count // self.adapt_every - 1](r, sigma)
        x = x + last(r)
        x = self.tail["0"](x) if "0" in self.tail else self.sa_sample(x, sigma, size, part)
        out: Tensor = self.add_mean(self.tail["1"](x))
        return out

    def graph(self, g: Graph, x: Node, place: Place | None) -> Node:
        """`forward` of a half that scales up, as nodes; `place` is None at a fixed scale.

        As in `AIDN.upscale_part`, a pixel more is made on each side for the last convolution.
        """
        x = g.conv2d(g.conv2d(x, self.sub_mean), self.head[0])
        r = x
        *blocks, last = self.body
        for count, block in enumerate(blocks, start=1):
            r = cast("ResidualBlock", block).graph(g, r)
            if place is not None and count % self.adapt_every == 0:
                adapter = cast("ScaleAdapter", self.sa_adapt[count // self.adapt_every - 1])
                r = adapter.graph(g, r, place.inverse_scale)
        x = g.add(x, g.conv2d(r, last))
        if place is None:
            for layer in cast("nn.Sequential", self.tail["0"]):
                if isinstance(layer, nn.Conv2d):
                    x = g.conv2d(x, layer)
                else:
                    x = g.op("DepthToSpace", x, blocksize=2, mode="CRD")
            return g.conv2d(g.conv2d(x, self.tail["1"]), self.add_mean)
        axes = place.axes(g, x, aligned=self.sa_sample.aligned)
        x = self.sa_sample.graph(g, x, place, axes)
        return place.asked_of(g, g.conv2d(g.conv2d(x, self.tail["1"]), self.add_mean), *axes)


def _fixed_resampling(features: int, halvings: int, *, up: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(halvings):
        if up:
            layers += [nn.Conv2d(features, 4 * features, 3, padding=1), nn.PixelShuffle(2)]
        else:
            layers += [nn.PixelUnshuffle(2), nn.Conv2d(4 * features, features, 3, padding=1)]
    return nn.Sequential(*layers)
