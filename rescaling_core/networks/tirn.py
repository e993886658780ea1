"""T-IRN: IRN with three branches, luma, chroma and details (Bao et al., AAAI 2025)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rescaling_core.networks.bijective import BijectiveRescaler
from rescaling_core.networks.coupling import DenseBlock, dense_block_config
from rescaling_core.networks.family import Family
from rescaling_core.networks.haar import Haar
from rescaling_core.networks.latent import LatentPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.networks.family import StateDict
    from rescaling_core.networks.graph import Graph, Node

_SUFFIXES: Final = ("", "_2")
"""Suffixes of the parameter names of the first and second stage in official files."""

_TO_YCC: Final = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)
_FROM_YCC: Final = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


class TIRN(BijectiveRescaler):
    """Haar, then blocks on [Cb, Cr | details | Y] of the mean image; twice for x4.

    The published network clamps RGB to [0, 1] whenever it leaves YCbCr. Here the LR image is left
    unclamped, as everywhere (quantising clamps it), so x2 inverts exactly; between the two stages
    of x4 the clamp stays, and what it cuts is lost.

    Args:
        scale: 2 or 4.
        blocks: Blocks of each stage.
        growth: Channels that each convolution of a dense block adds.
        depth: Convolutions in a dense block.
        latent_policy: What restoration receives for z; zeros in the released models.
    """

    family: ClassVar[str] = "t-irn"

    def __init__(
        self,
        *,
        scale: int,
        blocks: Sequence[int],
        growth: int = 32,
        depth: int = 5,
        latent_policy: LatentPolicy,
    ) -> None:
        super().__init__(scale=scale, multiple=scale, latent_policy=latent_policy)
        if scale not in (2, 4) or scale != 2 ** len(blocks):
            raise ValueError(f"x{scale} does not have {len(blocks)} stages")
        self.blocks, self.growth, self.depth = tuple(blocks), growth, depth
        for k, count in enumerate(blocks):
            haar = Haar(3 * 4**k)
            stage = [
                TriBranchBlock(haar.out_channels, growth=growth, depth=depth) for _ in range(count)
            ]
            self.add_module(f"haar_operations{_SUFFIXES[k]}", nn.ModuleList([haar]))
            self.add_module(f"down_operations{_SUFFIXES[k]}", nn.ModuleList(stage))

    @property
    def config(self) -> dict[str, Any]:
        """See `Rescaler.config`."""
        return {
            "scale": self.scale,
            "blocks": list(self.blocks),
            "growth": self.growth,
            "depth": self.depth,
        }

    def encode(self, x: Tensor) -> Tensor:
        """See `BijectiveRescaler.encode`."""
        for k, (haar, blocks) in enumerate(self._stages()):
            state = _split(haar(_clamped(x) if k else x))
            for block in blocks:
                state = block(state)
            x = _join(state)
        return x

    def decode(self, y: Tensor) -> Tensor:
        """See `BijectiveRescaler.decode`."""
        for haar, blocks in reversed(self._stages()):
            state = _split(y)
            for block in reversed(blocks):
                state = block.inverse(state)
            y = haar.inverse(_clamped(_join(state)))
        return y

    def decode_graph(self, g: Graph, y: Node) -> Node:
        """See `BijectiveRescaler.decode_graph`."""
        channels = self.lr_channels + self.latent_channels
        for haar, blocks in reversed(self._stages()):
            rgb, details = g.split(y, 3, channels - 3)
            luma, chroma = g.split(_mix_graph(g, rgb, _TO_YCC), 1, 2)
            state = (g.add(chroma, g.constant(0.5)), details, luma)
            for block in reversed(blocks):
                state = block.inverse_graph(g, state)
            chroma, details, luma = state
            ycc = g.join(luma, g.sub(chroma, g.constant(0.5)))
            rgb = g.clamp(_mix_graph(g, ycc, _FROM_YCC))
            y = haar.inverse_graph(g, g.join(rgb, details), channels)
            channels //= 4
        return y

    def _stages(self) -> list[tuple[Haar, list[TriBranchBlock]]]:
        stages = []
        for suffix in _SUFFIXES[: len(self.blocks)]:
            (haar,) = cast("nn.ModuleList", self.get_submodule(f"haar_operations{suffix}"))
            blocks = cast("nn.ModuleList", self.get_submodule(f"down_operations{suffix}"))
            stages.append((cast("Haar", haar), [cast("TriBranchBlock", block) for block in blocks]))
        return stages


class TriBranchBlock(nn.Module):
    """The coupling of chroma c, details h and luma Y.

    c' = c + E(Y) + F(h); Y' = Y + K(c') + L(h); h' = h·exp(s + t) + G(c') + I(Y'), with
    s = 2σ(H(c')) − 1 and t = 2σ(J(Y')) − 1.

    Source: T-InvBlocks `threeCInvBlock`.
    """

    def __init__(self, channels: int, *, growth: int = 32, depth: int = 5) -> None:
        super().__init__()
        h = channels - 3

        def dense(before: int, after: int) -> DenseBlock:
            return DenseBlock(before, after, growth=growth, depth=depth)

        self.E, self.F = dense(1, 2), dense(h, 2)
        self.G, self.H = dense(2, h), dense(2, h)
        self.I, self.J = dense(1, h), dense(1, h)
        self.K, self.L = dense(2, 1), dense(h, 1)

    def forward(self, state: _State) -> _State:
        """(c, h, Y) → (c', h', Y')."""
        c, h, y = state
        c = c + self.E(y) + self.F(h)
        y = y + self.K(c) + self.L(h)
        return c, h * torch.exp(self._log_gain(c, y)) + self.G(c) + self.I(y), y

    def inverse(self, state: _State) -> _State:
        """The inverse of `forward`."""
        c, h, y = state
        h = (h - self.G(c) - self.I(y)) * torch.exp(-self._log_gain(c, y))
        y = y - self.K(c) - self.L(h)
        return c - self.F(h) - self.E(y), h, y

    def inverse_graph(self, g: Graph, state: tuple[Node, Node, Node]) -> tuple[Node, Node, Node]:
        """`inverse` as nodes."""
        c, h, y = state
        gates = [g.op("Sigmoid", one) for one in (self.H.graph(g, c), self.J.graph(g, y))]
        gain = g.op("Exp", g.sub(g.constant(2.0), g.scaled(g.add(*gates), 2.0)))
        h = g.mul(g.sub(g.sub(h, self.G.graph(g, c)), self.I.graph(g, y)), gain)
        y = g.sub(g.sub(y, self.K.graph(g, c)), self.L.graph(g, h))
        return g.sub(g.sub(c, self.F.graph(g, h)), self.E.graph(g, y)), h, y

    def _log_gain(self, c: Tensor, y: Tensor) -> Tensor:
        return 2 * torch.sigmoid(self.H(c)) - 1 + 2 * torch.sigmoid(self.J(y)) - 1


_State = tuple[Tensor, Tensor, Tensor]


def _split(x: Tensor) -> _State:
    """[R, G, B | details] → (CbCr, details, Y), chroma centred on ½."""
    ycc = _mix(x[:, :3], _TO_YCC)
    return ycc[:, 1:] + 0.5, x[:, 3:], ycc[:, :1]


def _join(state: _State) -> Tensor:
    """The inverse of `_split`, to the precision of the published constants."""
    c, h, y = state
    return torch.cat((_mix(torch.cat((y, c - 0.5), dim=1), _FROM_YCC), h), dim=1)


def _clamped(x: Tensor) -> Tensor:
    """Clamp the first three channels, the RGB mean image, to [0, 1]."""
    return torch.cat((x[:, :3].clamp(0, 1), x[:, 3:]), dim=1)


def _mix(image: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    return F.conv2d(image, image.new_tensor(matrix)[:, :, None, None])


def _mix_graph(g: Graph, image: Node, matrix: tuple[tuple[float, ...], ...]) -> Node:
    return g.conv(image, torch.tensor(matrix)[:, :, None, None])


def _deduce(state_dict: StateDict) -> dict[str, Any]:
    blocks = []
    for suffix in _SUFFIXES:
        pattern = re.compile(rf"down_operations{suffix}\.(\d+)\.")
        found = {int(match[1]) for key in state_dict if (match := pattern.match(key))}
        blocks += [max(found) + 1] if found else []
    if "down_operations.0.L.conv1.weight" not in state_dict:
        raise ValueError("no blocks of three branches")
    return {
        "scale": 2 ** len(blocks),
        "blocks": blocks,
        **dense_block_config(state_dict, "down_operations"),
    }


FAMILY = Family(
    rescaler=TIRN,
    title="T-IRN (AAAI 2025)",
    latent_policy=LatentPolicy("zeros"),
    deduce=_deduce,
    notes="At x4 the published network clamps the image between its stages: no exact bijection.",
)
