"""Sub-networks and coupling blocks shared by the IRN family."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from rescaling_core.networks.family import StateDict
    from rescaling_core.networks.graph import Graph, Node, Written


class DenseBlock(nn.Module):
    """Densely connected 3×3 convolutions: the function inside every coupling.

    Convolution k sees the input and all earlier outputs, input first; LeakyReLU 0.2 after all
    but the last. The last starts at zero, so an untrained network is exactly the Haar pyramid.

    Source: IRN `DenseBlock` (`DBNet`), there with growth 32 and depth 5; initialised as "xavier".
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, growth: int = 32, depth: int = 5
    ) -> None:
        super().__init__()
        self.depth = depth
        for k in range(1, depth + 1):
            conv = nn.Conv2d(
                in_channels + (k - 1) * growth,
                growth if k < depth else out_channels,
                kernel_size=3,
                padding=1,
            )
            if k < depth:
                nn.init.xavier_normal_(conv.weight)
                conv.weight.data *= 0.1
            else:
                nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            self.add_module(f"conv{k}", conv)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, h, w) → (B, out, h, w)."""
        features = [x]
        for k in range(1, self.depth):
            conv = getattr(self, f"conv{k}")
            features.append(F.leaky_relu(conv(torch.cat(features, dim=1)), 0.2))
        out: Tensor = getattr(self, f"conv{self.depth}")(torch.cat(features, dim=1))
        return out

    def graph(self, g: Graph, x: Node) -> Node:
        """`forward` as nodes."""
        features = [x]
        for k in range(1, self.depth):
            features.append(g.leaky(g.conv2d(g.join(*features), getattr(self, f"conv{k}"))))
        return g.conv2d(g.join(*features), getattr(self, f"conv{self.depth}"))


class InvBlock(nn.Module):
    """The affine-additive coupling of IRN.

    With l the first `split` channels and h the rest: l' = l + F(h),
    h' = h·exp(s) + G(l') with s = c·(2σ(H(l')) − 1).

    Source: IRN `InvBlockExp`; c = 1 in every released model.
    """

    def __init__(
        self, channels: int, *, split: int = 3, clamp: float = 1.0, growth: int = 32, depth: int = 5
    ) -> None:
        super().__init__()
        self.split = split
        self.clamp = clamp
        rest = channels - split
        self.F: nn.Module = DenseBlock(rest, split, growth=growth, depth=depth)
        self.G: nn.Module = DenseBlock(split, rest, growth=growth, depth=depth)
        self.H: nn.Module = DenseBlock(split, rest, growth=growth, depth=depth)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        low, high = x[:, : self.split], x[:, self.split :]
        low = low + self.low_shift(high)
        return torch.cat((low, high * torch.exp(self.log_gain(low)) + self.G(low)), dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        """The inverse of `forward`."""
        low, high = y[:, : self.split], y[:, self.split :]
        high = (high - self.G(low)) * torch.exp(-self.log_gain(low))
        return torch.cat((low - self.low_shift(high), high), dim=1)

    def inverse_graph(self, g: Graph, y: Node, channels: int) -> Node:
        """`inverse` as nodes, of `channels` channels."""
        low, high = g.split(y, self.split, channels - self.split)
        high = self._inverse_high_graph(g, low, high)
        return g.join(g.sub(low, self.low_shift_graph(g, high)), high)

    def _inverse_high_graph(self, g: Graph, low: Node, high: Node) -> Node:
        gate = g.op("Sigmoid", cast("Written", self.H).graph(g, low))
        log_gain = g.scaled(g.sub(g.scaled(gate, 2.0), g.constant(1.0)), -self.clamp)
        shifted = g.sub(high, cast("Written", self.G).graph(g, low))
        return g.mul(shifted, g.op("Exp", log_gain))

    def low_shift_graph(self, g: Graph, high: Node) -> Node:
        """`low_shift` as nodes."""
        return cast("Written", self.F).graph(g, high)

    def low_shift(self, high: Tensor) -> Tensor:
        """What is added to l: F(h)."""
        shift: Tensor = self.F(high)
        return shift

    def log_gain(self, low: Tensor) -> Tensor:
        """S of the equations above: c·(2σ(H(l')) − 1), in (−c, c)."""
        return self.clamp * (2 * torch.sigmoid(self.H(low)) - 1)


def dense_block_config(state_dict: StateDict, container: str) -> dict[str, int]:
    """Growth and depth of the dense blocks named F inside `container`.

    Raises:
        ValueError: There are none.
    """
    pattern = re.compile(rf"{container}\.\d+\.F\.conv(\d+)\.weight")
    found = {int(match[1]): key for key in state_dict if (match := pattern.fullmatch(key))}
    if not found:
        raise ValueError(f"no dense block under {container}")
    return {"growth": state_dict[found[1]].shape[0], "depth": max(found)}
