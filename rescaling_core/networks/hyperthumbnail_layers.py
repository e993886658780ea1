"""The two halves of HyperThumbnail as Refold reads it, and what both are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rescaling_core.networks.aidn_layers import ResidualBlock
from rescaling_core.networks.coupling import DenseBlock
from rescaling_core.networks.diffjpeg import BLOCK, dct_kernels
from rescaling_core.networks.resampling import cubic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.networks.graph import Graph, Node

_GREY: Final = 0.5
"""What is taken off samples in [0, 1] before a convolution sees them."""

_REACH: Final = 2
"""LR pixels on each side that cubic enlargement sees."""


class Encoder(nn.Module):
    """HR → LR: the mean of each s×s block, and what dense convolutions add to it.

    Args:
        scale: HR side / LR side.
        features: Channels between the blocks.
        blocks: Densely connected blocks, each added to what it sees.
        growth: Channels that each convolution in a block adds.
    """

    def __init__(self, scale: int, *, features: int, blocks: int, growth: int) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3 * scale**2, features, 3, padding=1)
        self.body = nn.ModuleList(
            DenseBlock(features, features, growth=growth) for _ in range(blocks)
        )
        for block in self.body:
            for layer in list(block.children())[:-1]:  # IRN's are a tenth as large
                nn.init.xavier_normal_(cast("nn.Conv2d", layer).weight)
        self.last = _silent(nn.Conv2d(features, 3, 3, padding=1))

    def forward(self, hr: Tensor) -> Tensor:
        """(B, 3, s·h, s·w) → (B, 3, h, w)."""
        x = self.head(F.pixel_unshuffle(hr - _GREY, self.scale))
        for block in self.body:
            x = x + block(x)
        return F.avg_pool2d(hr, self.scale) + cast("Tensor", self.last(x))


class Decoder(nn.Module):
    """LR → HR: cubic enlargement, and what a light EDSR on the LR grid adds to it.

    Args:
        scale: HR side / LR side.
        features: Channels between the blocks.
        blocks: Residual blocks.
        coefficient_blocks: Residual blocks of the branch that sees DCT coefficients; None where
            there is no such branch.
    """

    def __init__(
        self, scale: int, *, features: int, blocks: int, coefficient_blocks: int | None
    ) -> None:
        super().__init__()
        self.scale = scale
        self.coefficients = (
            None if coefficient_blocks is None else CoefficientBranch(features, coefficient_blocks)
        )
        seen = 3 if self.coefficients is None else 3 + features
        self.head = nn.Conv2d(seen, features, 3, padding=1)
        self.body = nn.ModuleList(ResidualBlock(features) for _ in range(blocks))
        self.end = nn.Conv2d(features, features, 3, padding=1)
        self.last = _silent(nn.Conv2d(features, 3 * scale**2, 3, padding=1))
        self.register_buffer("cubic", _cubic_kernels(scale), persistent=False)

    def forward(self, lr: Tensor, first: tuple[int, int]) -> Tensor:
        """(B, 3, h, w) → (B, 3, s·h, s·w).

        Args:
            lr: An LR image or a part of one.
            first: Row and column of its first pixel in the whole, where JPEG's blocks begin.
        """
        seen = lr - _GREY
        x = seen
        if self.coefficients is not None:
            x = torch.cat((seen, self.coefficients(seen, first)), 1)
        x = _trunk(x, self.head, self.body, self.end)
        around = F.pad(lr, [_REACH] * 4, mode="replicate")
        enlarged = F.conv2d(around, cast("Tensor", self.cubic), groups=3)
        return F.pixel_shuffle(enlarged + self.last(x), self.scale)

    def graph(self, g: Graph, lr: Node, first: tuple[Node, Node]) -> Node:
        """`forward` as nodes; `first` are (1,) each."""
        seen = x = g.sub(lr, g.constant(_GREY))
        if self.coefficients is not None:
            x = g.join(seen, self.coefficients.graph(g, seen, first))
        x = _trunk_graph(g, x, self.head, self.body, self.end)
        pads = g.constant([0, 0, _REACH, _REACH] * 2, "int")
        kernels = g.tensor(cast("Tensor", self.cubic))
        enlarged = g.op("Conv", g.op("Pad", lr, pads, mode="edge"), kernels, group=3)
        both = g.add(enlarged, g.conv2d(x, self.last))
        return g.op("DepthToSpace", both, blocksize=self.scale, mode="CRD")


class CoefficientBranch(nn.Module):
    """Features on the LR grid out of the 8×8 DCT coefficients of an LR image.

    The coefficients are taken of the decoded pixels anew, on the grid that JPEG codes them on:
    those of luma, and of colours that were not subsampled, are the file's but for rounding. Each
    8×8 block is seen on its own; the decoder sees them together. So a part of an image needs no
    more context than without the branch, but for the block that it begins in.

    Args:
        features: Channels between the blocks, and of what is given.
        blocks: Residual blocks of 1×1 convolutions.
    """

    def __init__(self, features: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(3 * BLOCK**2, features, 1)
        self.body = nn.ModuleList(ResidualBlock(features, 1) for _ in range(blocks))
        self.end = nn.Conv2d(features, features, 1)
        self.expand = nn.Conv2d(features, features * BLOCK**2, 1)
        self.register_buffer("dct", dct_kernels(), persistent=False)

    def forward(self, seen: Tensor, first: tuple[int, int]) -> Tensor:
        """(B, 3, h, w), centred on 0 → (B, features, h, w); `first` as for `Decoder`."""
        h, w = seen.shape[-2:]
        top, left = (at % BLOCK for at in first)
        pads = [left, -(left + w) % BLOCK, top, -(top + h) % BLOCK]
        blocks = F.pad(seen, pads, mode="replicate")
        x = F.conv2d(blocks, cast("Tensor", self.dct), stride=BLOCK)
        x = _trunk(x, self.head, self.body, self.end)
        features = F.pixel_shuffle(self.expand(x), BLOCK)
        return features[..., top : top + h, left : left + w]

    def graph(self, g: Graph, seen: Node, first: tuple[Node, Node]) -> Node:
        """`forward` as nodes."""
        block, shape = g.constant([BLOCK], "int"), g.op("Shape", seen)
        before, after, stops = [], [], []
        for axis, at in zip((2, 3), first, strict=True):
            length = g.op("Gather", shape, g.constant([axis], "int"))
            before.append(g.op("Mod", at, block))
            stops.append(g.add(before[-1], length))
            after.append(g.op("Mod", g.op("Neg", stops[-1]), block))
        none = g.constant([0, 0], "int")
        pads = g.op("Concat", none, *before, none, *after, axis=0)
        blocks = g.op("Pad", seen, pads, mode="edge")
        kernels = g.tensor(cast("Tensor", self.dct))
        x = g.op("Conv", blocks, kernels, strides=[BLOCK, BLOCK])
        x = _trunk_graph(g, x, self.head, self.body, self.end)
        features = g.op("DepthToSpace", g.conv2d(x, self.expand), blocksize=BLOCK, mode="CRD")
        starts, ends = (g.op("Concat", *side, axis=0) for side in (before, stops))
        return g.op("Slice", features, starts, ends, g.constant([2, 3], "int"))


def _trunk(x: Tensor, head: nn.Module, body: nn.ModuleList, end: nn.Module) -> Tensor:
    """EDSR without its ends: a convolution, residual blocks, a convolution, and a bridge."""
    x = head(x)
    r = x
    for block in body:
        r = block(r)
    return x + cast("Tensor", end(r))


def _trunk_graph(g: Graph, x: Node, head: nn.Module, body: nn.ModuleList, end: nn.Module) -> Node:
    """`_trunk` as nodes."""
    x = g.conv2d(x, head)
    r = x
    for block in body:
        r = cast("ResidualBlock", block).graph(g, r)
    return g.add(x, g.conv2d(r, end))


def _silent(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, giving zeros until it is trained."""
    for parameter in cast("Sequence[nn.Parameter]", (layer.weight, layer.bias)):
        nn.init.zeros_(parameter)
    return layer


def _cubic_kernels(scale: int) -> Tensor:
    """(3·s², 1, 5, 5): the s² pixels that bicubic enlargement makes of one, for each colour."""
    places = (torch.arange(scale) + 0.5) / scale - 0.5
    rows = cubic(places[:, None] - torch.arange(-_REACH, _REACH + 1))
    kernels = torch.einsum("ai,bj->abij", rows, rows)
    return kernels.reshape(scale**2, 1, *kernels.shape[2:]).repeat(3, 1, 1, 1)
