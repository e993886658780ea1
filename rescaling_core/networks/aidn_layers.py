"""The layers of AIDN: scale adapters, conditional resampling, the tables of AIDN+."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rescaling_core.containers.jpeg_standard import CHROMA_TABLE, LUMA_TABLE

if TYPE_CHECKING:
    from rescaling_core.networks.base import Window
    from rescaling_core.networks.graph import Graph, Node
    from rescaling_core.networks.place_graph import Axis, Place

_MEAN: Final = (0.4488, 0.4371, 0.4040)
"""Mean colour of the DIV2K training set, RGB."""


class MeanShift(nn.Conv2d):
    """Add (`sign` = 1) or subtract (−1) the data's mean; a frozen 1×1 convolution.

    Source: EDSR `MeanShift`.
    """

    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, 1)
        self.weight.data = torch.eye(3)[:, :, None, None]
        assert self.bias is not None
        self.bias.data = sign * torch.tensor(_MEAN)
        self.requires_grad_(requires_grad=False)


class ResidualBlock(nn.Module):
    """x + conv(ReLU(conv(x))), 3×3 where not said otherwise."""

    def __init__(self, features: int, side: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(features, features, side, padding=side // 2),
            nn.ReLU(),
            nn.Conv2d(features, features, side, padding=side // 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → the same."""
        y: Tensor = x + self.body(x)
        return y

    def graph(self, g: Graph, x: Node) -> Node:
        """`forward` as nodes."""
        inner = g.op("Relu", g.conv2d(x, self.body[0]))
        return g.add(x, g.conv2d(inner, self.body[2]))


class ScaleAdapter(nn.Module):
    """r + m·conv(r): m a learned mask, the kernel mixed from experts as the scale asks.

    Source: AIDN `SA_adapt`.
    """

    def __init__(self, features: int, experts: int) -> None:
        super().__init__()
        inner = features // 4
        widths = (features, inner, inner, inner, 1)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers[-1] = nn.Sigmoid()
        self.mask = nn.Sequential(*layers)
        self.adapt = _MixedConv(features, experts)

    def forward(self, r: Tensor, sigma: float) -> Tensor:
        """(B, C, h, w) → the same; `sigma` is output side / input side of the network."""
        adapted: Tensor = r + self.mask(r) * self.adapt(r, sigma)
        return adapted

    def graph(self, g: Graph, r: Node, inverse_scale: Node) -> Node:
        """`forward` as nodes; `inverse_scale` is (2,), 1/σ twice."""
        m = r
        for layer in self.mask:
            if isinstance(layer, nn.Conv2d):
                m = g.conv2d(m, layer)
            elif isinstance(layer, nn.BatchNorm2d):
                m = g.batch_norm(m, layer)
            else:
                m = g.op("Relu" if isinstance(layer, nn.ReLU) else "Sigmoid", m)
        return g.add(r, g.mul(m, self.adapt.graph(g, r, inverse_scale)))


class _MixedConv(nn.Module):
    """A 3×3 convolution without bias, its kernel a softmax mixture of experts by scale."""

    def __init__(self, features: int, experts: int) -> None:
        super().__init__()
        self.weight_pool = nn.Parameter(torch.empty(experts, features, features, 3, 3))
        for kernel in self.weight_pool:
            nn.init.kaiming_uniform_(kernel, a=5**0.5)
        self.routing = nn.Sequential(
            nn.Linear(2, features), nn.ReLU(), nn.Linear(features, experts)
        )

    def forward(self, x: Tensor, sigma: float) -> Tensor:
        weights = torch.softmax(self.routing(x.new_full((2,), 1.0 / sigma)), dim=0)
        return F.conv2d(x, torch.einsum("k,koihw->oihw", weights, self.weight_pool), padding=1)

    def graph(self, g: Graph, x: Node, inverse_scale: Node) -> Node:
        """`forward` as nodes."""
        experts, *shape = self.weight_pool.shape
        hidden = g.op("Relu", g.linear(inverse_scale, self.routing[0]))
        weights = g.op("Softmax", g.linear(hidden, self.routing[2]), axis=-1)
        pool = g.tensor(self.weight_pool.detach().reshape(experts, -1))
        mixed = g.op("Reshape", g.op("MatMul", weights, pool), g.constant(shape, "int"))
        return g.op("Conv", x, mixed, pads=[1] * 4)


class Resampling(nn.Module):
    """Features at any size: sampled at learned offsets, then mixed by experts gated per pixel.

    Source: AIDN `SA_upsample`. There, grids are laid out for `align_corners=True` (2/(n−1)) and
    sampled with `align_corners=False`, which moves the edges by half a pixel; the published
    weights were trained with that distortion, so it stays the default.

    Args:
        features: Channels in and out; a multiple of 8.
        experts: Matrices to mix.
        aligned: Sample at the centres of output pixels instead, bicubically, and repeat the edge
            beyond it.
    """

    def __init__(self, features: int, experts: int, *, aligned: bool = False) -> None:
        super().__init__()
        self.aligned = aligned
        inner = features // 8
        self.weight_compress = nn.Parameter(torch.empty(experts, inner, features, 1, 1))
        self.weight_expand = nn.Parameter(torch.empty(experts, features, inner, 1, 1))
        for pool in (self.weight_compress, self.weight_expand):
            for matrix in pool:
                nn.init.kaiming_uniform_(matrix, a=5**0.5)
        self.body = nn.Sequential(
            nn.Conv2d(features + 4, features, 1), nn.ReLU(), nn.Conv2d(features, features, 1),
            nn.ReLU(),
        )  # fmt: skip
        self.routing = nn.Sequential(nn.Conv2d(features, experts, 1), nn.Sigmoid())
        self.offset = nn.Conv2d(features, 2, 1)

    def forward(
        self,
        x: Tensor,
        sigma: float,
        size: tuple[int, int],
        part: tuple[Window, Window] | None = None,
    ) -> Tensor:
        """(B, C, h, w) → (B, C, *size), positions as if exactly `sigma` times as large.

        Where `part` says so, `x` is only that part of the features, and so is what is returned.
        """
        b, _, h, w = x.shape
        rows, row_phases, row_step = self._positions(x, size[0], sigma, part and part[0], h)
        columns, column_phases, step = self._positions(x, size[1], sigma, part and part[1], w)
        grid = torch.stack((columns.expand(size), rows[:, None].expand(size)), dim=-1)[None]
        sampled = self._sample(x, grid.expand(b, -1, -1, -1), "bilinear")
        inverse = x.new_full(size, 1.0 / sigma)
        phases = (row_phases[:, None].expand(size), column_phases.expand(size))
        condition = torch.stack((inverse, inverse, *phases))[None].expand(b, -1, -1, -1)
        e = self.body(torch.cat((condition, sampled), dim=1))
        steps = x.new_tensor([step, row_step])
        kind = "bicubic" if self.aligned else "bilinear"
        f = self._sample(x, grid + self.offset(e).permute(0, 2, 3, 1) * steps, kind)
        return f + self._mix(f, self.routing(e))

    def _mix(self, f: Tensor, gates: Tensor) -> Tensor:
        """Σₖ gₖEₖ · Σₖ gₖCₖ · f per pixel, without building a matrix per pixel."""
        experts, inner, features = self.weight_compress.shape[:3]
        compressed = F.conv2d(f, self.weight_compress.reshape(experts * inner, features, 1, 1))
        b, _, h, w = f.shape
        gated = gates[:, :, None] * compressed.view(b, experts, inner, h, w)
        gated = gates[:, :, None] * gated.sum(dim=1, keepdim=True)
        expand = self.weight_expand.permute(1, 0, 2, 3, 4).reshape(features, -1, 1, 1)
        return F.conv2d(gated.flatten(1, 2), expand)

    def graph(self, g: Graph, x: Node, place: Place, axes: tuple[Axis, Axis]) -> Node:
        """`forward` of a part, as nodes."""
        grid, steps = place.grid(g, *axes), place.steps(g, *axes)
        e = g.join(place.condition(g, *axes), self._sample_graph(g, x, grid, "linear"))
        for layer in self.body:
            e = g.conv2d(e, layer) if isinstance(layer, nn.Conv2d) else g.op("Relu", e)
        moved = g.op("Transpose", g.conv2d(e, self.offset), perm=[0, 2, 3, 1])
        kind = "cubic" if self.aligned else "linear"
        f = self._sample_graph(g, x, g.add(grid, g.mul(moved, steps)), kind)
        gates = g.op("Sigmoid", g.conv2d(e, self.routing[0]))
        return g.add(f, self._mix_graph(g, f, gates))

    def _mix_graph(self, g: Graph, f: Node, gates: Node) -> Node:
        experts, inner, features = self.weight_compress.shape[:3]
        compress = self.weight_compress.detach().reshape(experts * inner, features, 1, 1)
        expand = self.weight_expand.detach().permute(1, 0, 2, 3, 4).reshape(features, -1, 1, 1)
        compressed = g.split(g.conv(f, compress), *[inner] * experts)
        gate = g.split(gates, *[1] * experts)
        total = g.op("Sum", *(g.mul(c, one) for c, one in zip(compressed, gate, strict=True)))
        return g.conv(g.join(*(g.mul(total, one) for one in gate)), expand)

    def _sample_graph(self, g: Graph, x: Node, grid: Node, kind: str) -> Node:
        beyond = "border" if self.aligned else "zeros"
        return g.op("GridSample", x, grid, mode=kind, padding_mode=beyond, align_corners=0)

    def _positions(
        self, like: Tensor, count: int, sigma: float, window: Window | None, given: int
    ) -> tuple[Tensor, Tensor, float]:
        """Where output pixels of an axis lie on the grid and in a pixel, and the grid's step.

        The step is from one pixel to the next, as the learned offsets count them.
        """
        length = given if window is None else window.length
        # Of a part, pixels are counted from the start of the whole: that takes more digits.
        dtype = like.dtype if window is None else torch.float64
        first = 0 if window is None else window.asked.start
        c = torch.arange(first, first + count, device=like.device, dtype=dtype) + 0.5
        c = c / sigma
        phases = c - torch.floor(c + 1e-3) - 0.5
        if self.aligned:
            grid = 2 * c / length - 1
        elif length == 1:
            # The official grid divides by zero here; there is one place to sample at.
            grid = torch.zeros_like(c)
        else:
            grid = (c - 0.5) * 2 / (length - 1) - 1
        step = 2 / max(length - 1, 1)
        if window is not None:
            grid = ((grid + 1) * length - 2 * window.given.start) / given - 1
            step *= length / given
        return grid.to(like.dtype), phases.to(like.dtype), step

    def _sample(self, x: Tensor, grid: Tensor, kind: str) -> Tensor:
        beyond = "border" if self.aligned else "zeros"
        return F.grid_sample(x, grid, mode=kind, padding_mode=beyond, align_corners=False)


class JpegTables(nn.Module):
    """The simulator's tables under their official names: each appears twice, as one parameter.

    The official code transposes the standard's tables, and hands them to the optimiser.
    """

    def __init__(self) -> None:
        super().__init__()
        tables = {
            "y": nn.Parameter(torch.tensor(LUMA_TABLE, dtype=torch.float32).T.contiguous()),
            "c": nn.Parameter(torch.tensor(CHROMA_TABLE, dtype=torch.float32).T.contiguous()),
        }
        for side, verb in (("compress", "quantize"), ("decompress", "dequantize")):
            holders = nn.Module()
            for plane, table in tables.items():
                holder = nn.Module()
                holder.register_parameter(f"{plane}_table", table)
                holders.add_module(f"{plane}_{verb}", holder)
            self.add_module(side, holders)

    @property
    def tables(self) -> tuple[Tensor, Tensor]:
        """Luma and chroma, (8, 8)."""
        luma = self.get_parameter("compress.y_quantize.y_table")
        return luma, self.get_parameter("compress.c_quantize.c_table")
