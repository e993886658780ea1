"""The Haar layer that every bijective family starts from, and its learned sibling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rescaling_core.errors import CheckpointError

if TYPE_CHECKING:
    from rescaling_core.networks.graph import Graph, Node

_SIGNS = torch.tensor(
    [[[1.0, 1.0], [1.0, 1.0]], [[1.0, -1.0], [1.0, -1.0]], [[1.0, 1.0], [-1.0, -1.0]],
     [[1.0, -1.0], [-1.0, 1.0]]]
)  # fmt: skip


class Haar(nn.Module):
    """2×2 Haar analysis, band-major, not orthonormal: ÷4 forward, ×1 backward.

    Source: IRN `HaarDownsampling`; for the block [[a, b], [c, d]] the bands are
    A=(a+b+c+d)/4, B=(a−b+c−d)/4, C=(a+b−c−d)/4, D=(a−b−c+d)/4, and the output holds A of all
    input channels, then B of all, C of all, D of all. The first channels are the box mean.
    """

    haar_weights: Tensor
    factor = 4
    """Channels that come of one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = 4 * channels
        # A buffer, not a parameter: constants, kept in the state dict as official files have them.
        self.register_buffer("haar_weights", _SIGNS.repeat(channels, 1, 1)[:, None].clone())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 2h, 2w) → (B, 4C, h, w)."""
        a, b = x[..., 0::2, 0::2], x[..., 0::2, 1::2]
        c, d = x[..., 1::2, 0::2], x[..., 1::2, 1::2]
        top, bottom, top_diff, bottom_diff = a + b, c + d, a - b, c - d
        bands = (top + bottom, top_diff + bottom_diff, top - bottom, top_diff - bottom_diff)
        return torch.cat(bands, dim=1) / 4

    def inverse(self, y: Tensor) -> Tensor:
        """(B, 4C, h, w) → (B, C, 2h, 2w)."""
        mean, horizontal, vertical, diagonal = y.chunk(4, dim=1)
        b, c, h, w = mean.shape
        top, top_diff = mean + vertical, horizontal + diagonal
        bottom, bottom_diff = mean - vertical, horizontal - diagonal
        pixels = (top + top_diff, top - top_diff, bottom + bottom_diff, bottom - bottom_diff)
        blocks = torch.stack(pixels, dim=2).view(b, c, 2, 2, h, w)
        return blocks.permute(0, 1, 4, 2, 5, 3).reshape(b, c, 2 * h, 2 * w)

    def inverse_graph(self, g: Graph, y: Node, channels: int) -> Node:
        """`inverse` as nodes: every pixel is a sum of the four bands with their signs."""
        signs = _SIGNS.reshape(4, 4)  # (band, pixel of a block)
        each = torch.eye(channels // 4)
        weight = torch.einsum("kp,cd->cpkd", signs, each).reshape(channels, channels, 1, 1)
        pixels = g.conv(y, weight)
        return g.op("DepthToSpace", pixels, blocksize=2, mode="CRD")

    def check_constants(self, weights: Tensor) -> None:
        """Refuse a checkpoint whose Haar constants are not the ones computed with here.

        Raises:
            CheckpointError: They differ.
        """
        if not torch.equal(weights.float(), self.haar_weights.to(weights.device)):
            raise CheckpointError("haar_weights: not the ±1 constants of the Haar transform")


class ConvDownsampling(nn.Module):
    """Space to depth, then a learned s²×s² matrix shared by all channels; band-major.

    It starts as the identity, except that the first band is the s×s box mean.

    Source: IRN `ConvDownsampling`, used at x3. There, sides that are not a multiple of s crash.
    """

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.factor = scale**2
        self.out_channels = channels * self.factor
        matrix = torch.eye(scale**2)
        matrix[0] = 1 / scale**2
        self.conv_weights = nn.Parameter(matrix)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, s·h, s·w) → (B, s²·C, h, w)."""
        pixels = _split_channels(F.pixel_unshuffle(x, self.scale), -1, self.scale**2)
        return torch.einsum("qp,bcphw->bqchw", self.conv_weights, pixels).flatten(1, 2)

    def inverse(self, y: Tensor) -> Tensor:
        """(B, s²·C, h, w) → (B, C, s·h, s·w)."""
        bands = _split_channels(y, self.scale**2, -1)
        pixels = torch.einsum("pq,bqchw->bcphw", torch.linalg.inv(self.conv_weights), bands)
        return F.pixel_shuffle(pixels.flatten(1, 2), self.scale)

    def inverse_graph(self, g: Graph, y: Node, channels: int) -> Node:
        """`inverse` as nodes."""
        each = torch.eye(channels // self.scale**2)
        inverse = torch.linalg.inv(self.conv_weights.detach().cpu())
        weight = torch.einsum("pq,cd->cpqd", inverse, each).reshape(channels, channels, 1, 1)
        return g.op("DepthToSpace", g.conv(y, weight), blocksize=self.scale, mode="CRD")


def _split_channels(x: Tensor, outer: int, inner: int) -> Tensor:
    """(B, C, h, w) → (B, outer, inner, h, w)."""
    return x.reshape(x.shape[0], outer, inner, *x.shape[2:])
