"""Dense blocks on a CUDA device without a single concatenation: Triton kernels on one buffer.

Each convolution reads the channels it needs out of one channels-last buffer and writes its own
behind them, bias and activation included. Several blocks with the same input share the buffer and
the launches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

if TYPE_CHECKING:
    from rescaling_core.networks.coupling import DenseBlock

_GIVEN: Final = 16
"""Channels that the input is padded to: the least that tensor cores multiply at once."""


class TritonDense(nn.Module):
    """Several dense blocks of one shape and one input, as `DenseBranches`, for inference.

    Args:
        blocks: Dense blocks with the same channels, growth and depth.
        dtype: Of the features and weights: bfloat16 or float16. Sums are float32.
        tile: Rows and columns that one program works on: powers of two, 64 pixels or more.
        warps: Of one program.

    Raises:
        ValueError: The growth is not a power of two from 16 on, or over 16 channels are given.
    """

    def __init__(
        self,
        *blocks: DenseBlock,
        dtype: torch.dtype,
        tile: tuple[int, int] = (8, 16),
        warps: int = 4,
    ) -> None:
        super().__init__()
        convs = [_convolutions(block) for block in blocks]
        self.given, self.growth = convs[0][0].in_channels, convs[0][0].out_channels
        self.out, self.branches, self.depth = convs[0][-1].out_channels, len(blocks), len(convs[0])
        if self.growth < 16 or self.growth & (self.growth - 1) or self.given > _GIVEN:
            raise ValueError(f"no kernel for {self.given} channels growing by {self.growth}")
        self.tile, self.warps = tile, warps
        for k in range(self.depth):
            packed = torch.stack([self._packed(one[k].weight) for one in convs])
            bias = torch.stack([_padded(cast("Tensor", one[k].bias), self.growth) for one in convs])
            self.register_buffer(f"weight{k}", packed.to(dtype).contiguous())
            self.register_buffer(f"bias{k}", bias.float().contiguous())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, in, h, w) float32 → (B, out, h, w) float32 of each block."""
        n, _, h, w = x.shape
        weight = cast("Tensor", self.weight0)
        channels = _GIVEN + (self.depth - 1) * self.branches * self.growth
        buffer = torch.empty((n, h, w, channels), dtype=weight.dtype, device=x.device)
        buffer[..., : self.given] = x.permute(0, 2, 3, 1)
        buffer[..., self.given : _GIVEN] = 0
        out = torch.empty((n, self.branches * self.out, h, w), device=x.device)
        rows, columns = self.tile
        tiles = triton.cdiv(w, columns), triton.cdiv(h, rows)
        grid = (tiles[0] * tiles[1], self.branches, n)
        for k in range(self.depth):
            kernel: Any = _convolve
            kernel[grid](
                buffer, getattr(self, f"weight{k}"), getattr(self, f"bias{k}"), out,
                h, w, tiles[0],
                CHANNELS=channels, GIVEN=_GIVEN, GROWTH=self.growth, BRANCHES=self.branches,
                STEPS=k, LAST=k == self.depth - 1, OUT=self.out,
                ROWS=rows, COLUMNS=columns, num_warps=self.warps,
            )  # fmt: skip
        return out.chunk(self.branches, dim=1)

    def _packed(self, weight: Tensor) -> Tensor:
        """(out, in, 3, 3) → (9, 16 + features, growth), the input padded, and so the output."""
        taps = weight.detach().permute(2, 3, 1, 0).flatten(0, 1)
        taps = _padded(taps, self.growth)
        given, features = taps[:, : self.given], taps[:, self.given :]
        blank = given.new_zeros(9, _GIVEN - self.given, self.growth)
        return torch.cat((given, blank, features), dim=1)


def _convolutions(block: DenseBlock) -> list[nn.Conv2d]:
    return [cast("nn.Conv2d", getattr(block, f"conv{k}")) for k in range(1, block.depth + 1)]


def _padded(x: Tensor, last: int) -> Tensor:
    """Zeros behind the last axis until it is `last` long."""
    return torch.nn.functional.pad(x.detach(), (0, last - x.shape[-1]))


@triton.jit  # type: ignore[untyped-decorator]
def _convolve(  # type: ignore[no-untyped-def]  # noqa: ANN202
    buffer, weight, bias, out,  # noqa: ANN001
    h, w, tiles_x,  # noqa: ANN001
    CHANNELS: tl.constexpr, GIVEN: tl.constexpr, GROWTH: tl.constexpr, BRANCHES: tl.constexpr,
    STEPS: tl.constexpr, LAST: tl.constexpr, OUT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """One 3×3 convolution of one branch over one tile of pixels."""
    tile = tl.program_id(0)
    branch = tl.program_id(1)
    image = tl.program_id(2).to(tl.int64)
    pixel = tl.arange(0, ROWS * COLUMNS)
    y = tile // tiles_x * ROWS + pixel // COLUMNS
    x = tile % tiles_x * COLUMNS + pixel % COLUMNS
    given = tl.arange(0, GIVEN)
    grown = tl.arange(0, GROWTH)
    image_start = buffer + image * h * w * CHANNELS
    seen: tl.constexpr = GIVEN + STEPS * GROWTH
    weight_start = weight + branch * 9 * seen * GROWTH
    total = tl.zeros((ROWS * COLUMNS, GROWTH), dtype=tl.float32)
    for tap in range(9):
        near_y = y + tap // 3 - 1
        near_x = x + tap % 3 - 1
        inside = (near_y >= 0) & (near_y < h) & (near_x >= 0) & (near_x < w)
        at = image_start + (near_y * w + near_x) * CHANNELS
        taps = weight_start + tap * seen * GROWTH
        a = tl.load(at[:, None] + given[None, :], mask=inside[:, None], other=0.0)
        b = tl.load(taps + given[:, None] * GROWTH + grown[None, :])
        total = tl.dot(a, b, total)
        for step in tl.static_range(STEPS):
            feature = GIVEN + (step * BRANCHES + branch) * GROWTH
            a = tl.load(at[:, None] + (feature + grown)[None, :], mask=inside[:, None], other=0.0)
            rows = GIVEN + step * GROWTH + grown
            b = tl.load(taps + rows[:, None] * GROWTH + grown[None, :])
            total = tl.dot(a, b, total)
    total += tl.load(bias + branch * GROWTH + grown)[None, :]
    in_image = (y < h) & (x < w)
    if LAST:
        plane = image * BRANCHES * OUT + branch * OUT + grown
        target = out + plane[None, :] * h * w + (y * w + x)[:, None]
        tl.store(target, total, mask=in_image[:, None] & (grown < OUT)[None, :])
    else:
        total = tl.where(total > 0, total, total * 0.2)
        feature = GIVEN + (STEPS * BRANCHES + branch) * GROWTH
        target = image_start + (y * w + x)[:, None] * CHANNELS + (feature + grown)[None, :]
        tl.store(target, total.to(buffer.dtype.element_ty), mask=in_image[:, None])
