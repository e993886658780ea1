"""Dense blocks that see the same input, run as one set of convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from rescaling_core.networks.coupling import DenseBlock

Fusion = Literal["separate", "grouped", "diagonal"]
"""How the convolutions after the first, whose inputs differ, are joined: not at all; as groups of
one convolution; or as one convolution whose weights across are zero, which doubles its
multiplications and fills the wide units of a GPU better."""


class DenseBranches(nn.Module):
    """Several dense blocks of one shape and one input; equal to running each of them.

    Moved to a narrower dtype it computes in that; what it takes and gives keeps its own.

    Args:
        blocks: Dense blocks with the same channels, growth and depth.
        fusion: How they are joined.
    """

    def __init__(self, *blocks: DenseBlock, fusion: Fusion) -> None:
        super().__init__()
        self.depth = blocks[0].depth
        self.branches = len(blocks)
        self.fusion: Fusion = fusion if self.branches > 1 else "separate"
        for k in range(1, self.depth + 1):
            convs = [cast("nn.Conv2d", getattr(block, f"conv{k}")) for block in blocks]
            weights = [conv.weight.detach() for conv in convs]
            biases = [cast("Tensor", conv.bias).detach() for conv in convs]
            if self.fusion == "diagonal" and k > 1:
                joined = _diagonal(weights, cast("nn.Conv2d", blocks[0].conv1))
            else:
                joined = torch.cat(weights)
            self.register_buffer(f"weight{k}", joined.clone())
            self.register_buffer(f"bias{k}", torch.cat(biases))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, in, h, w) → (B, out, h, w) of each block."""
        run = {"separate": self._separate, "grouped": self._grouped, "diagonal": self._diagonal}
        given = x.to(cast("Tensor", self.weight1).dtype)
        return tuple(out.to(x.dtype) for out in run[self.fusion](given))

    def parameters_of(self, k: int) -> tuple[Tensor, Tensor]:
        """Weights and biases of convolution k, from 1, of all blocks."""
        return getattr(self, f"weight{k}"), getattr(self, f"bias{k}")

    def _first(self, x: Tensor) -> Tensor:
        return F.leaky_relu(F.conv2d(x, *self.parameters_of(1), padding=1), 0.2)

    def _separate(self, x: Tensor) -> tuple[Tensor, ...]:
        features = [[x, first] for first in self._first(x).chunk(self.branches, dim=1)]
        for k in range(2, self.depth + 1):
            weights, biases = (p.chunk(self.branches) for p in self.parameters_of(k))
            for branch, weight, bias in zip(features, weights, biases, strict=True):
                out = F.conv2d(torch.cat(branch, dim=1), weight, bias, padding=1)
                branch.append(F.leaky_relu(out, 0.2) if k < self.depth else out)
        return tuple(branch[-1] for branch in features)

    def _grouped(self, x: Tensor) -> tuple[Tensor, ...]:
        features = [[x, first] for first in self._first(x).chunk(self.branches, dim=1)]
        for k in range(2, self.depth + 1):
            seen = torch.cat([one for branch in features for one in branch], dim=1)
            out = F.conv2d(seen, *self.parameters_of(k), padding=1, groups=self.branches)
            if k < self.depth:
                out = F.leaky_relu(out, 0.2)
            for branch, one in zip(features, out.chunk(self.branches, dim=1), strict=True):
                branch.append(one)
        return tuple(branch[-1] for branch in features)

    def _diagonal(self, x: Tensor) -> tuple[Tensor, ...]:
        features = [x, self._first(x)]
        for k in range(2, self.depth + 1):
            out = F.conv2d(torch.cat(features, dim=1), *self.parameters_of(k), padding=1)
            features.append(F.leaky_relu(out, 0.2) if k < self.depth else out)
        return tuple(features[-1].chunk(self.branches, dim=1))


def _diagonal(weights: list[Tensor], first: nn.Conv2d) -> Tensor:
    """Weights over [x, features 1 of every block, features 2 of every block, …]."""
    branches, given, growth = len(weights), first.in_channels, first.out_channels
    out, seen = weights[0].shape[:2]
    steps = (seen - given) // growth
    joined = weights[0].new_zeros(branches * out, given + branches * steps * growth, 3, 3)
    for b, weight in enumerate(weights):
        rows = joined[b * out : (b + 1) * out]
        rows[:, :given] = weight[:, :given]
        for step in range(steps):
            to = given + (step * branches + b) * growth
            at = given + step * growth
            rows[:, to : to + growth] = weight[:, at : at + growth]
    return joined
