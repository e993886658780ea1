"""JPEG with a gradient: the simulators that SAIN and AIDN+ were trained through."""

from __future__ import annotations

from math import pi
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from rescaling_core.containers.jpeg_standard import CHROMA_TABLE, LUMA_TABLE

Rounding = Literal["fourier", "exact"]

BLOCK: Final = 8
"""Side of a block of JPEG, in samples."""

_TO_YCC: Final = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)
_FROM_YCC: Final = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def sain_jpeg(image: Tensor, quality: float, *, rounding: Rounding = "fourier") -> Tensor:
    """JPEG as SAIN trains through it, at quality 75.

    Args:
        image: (B, 3, H, W) RGB in [0, 1].
        quality: 1 to 99; 100 would divide by zero.
        rounding: `fourier`: v − (1/π)Σₙ(−1)ⁿ⁺¹/n·sin(2πnv), n = 1…9, both ways. `exact`: as a
            codec, with AIDN's gradient.

    Returns:
        (B, 3, H, W) in [0, 1], not rounded to 8 bits.

    Source: SAIN `DiffJPEG`; there, H and W must be multiples of 16.
    """
    tables = (image.new_tensor(LUMA_TABLE), image.new_tensor(CHROMA_TABLE))
    return jpeg(image, quality, tables=tables, rounding=rounding)


def jpeg(
    image: Tensor, quality: float, *, tables: tuple[Tensor, Tensor], rounding: Rounding
) -> Tensor:
    """Baseline JPEG 4:2:0 without entropy coding.

    BT.601 full range, chroma by 2×2 means (of what is inside, at odd edges) and nearest
    enlargement, 8×8 DCT, blocks padded by repeating the edge. The tables times the quality factor
    are neither rounded nor kept above 1, unlike a real codec's.

    Args:
        image: (B, 3, H, W) RGB in [0, 1].
        quality: 1 to 99.
        tables: Luma and chroma, (8, 8): rows are vertical frequencies.
        rounding: See `sain_jpeg`.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    factor = (5000 / quality if quality < 50 else 200 - 2 * quality) / 100
    height, width = image.shape[-2:]
    ycc = to_ycc(image * 255)
    luma, chroma = ycc[:, :1] - 128, F.avg_pool2d(ycc[:, 1:], 2, ceil_mode=True)
    luma = _code(luma, tables[0] * factor, rounding) + 128
    chroma = _code(chroma, tables[1] * factor, rounding)
    chroma = F.interpolate(chroma, scale_factor=2, mode="nearest")[..., :height, :width]
    return _mix(torch.cat((luma, chroma), dim=1), _FROM_YCC).clamp(0, 255) / 255


def to_ycc(image: Tensor) -> Tensor:
    """(B, 3, H, W) RGB → BT.601 YCbCr of the same range, chroma centred on 0."""
    return _mix(image, _TO_YCC)


def block_dct(plane: Tensor) -> Tensor:
    """The orthonormal 8×8 DCT of each block.

    Args:
        plane: (B, C, h, w); the last blocks are padded by repeating the edge.

    Returns:
        (B, C, ⌈h/8⌉, ⌈w/8⌉, 8, 8): rows are vertical frequencies.
    """
    height, width = plane.shape[-2:]
    padded = F.pad(plane, (0, -width % 8, 0, -height % 8), mode="replicate")
    b, c, h, w = padded.shape
    dct = _dct(plane)
    return dct @ padded.view(b, c, h // 8, 8, w // 8, 8).transpose(3, 4) @ dct.T


def dct_kernels() -> Tensor:
    """`block_dct` of all three planes of `to_ycc` as one convolution of RGB, of stride 8.

    Returns:
        (192, 3, 8, 8): the coefficients of luma by rows, then those of either colour difference.
    """
    colours, dct = torch.tensor(_TO_YCC), _dct(torch.empty(0, dtype=torch.float32))
    return torch.einsum("ck,ui,vj->cuvkij", colours, dct, dct).flatten(0, 2)


def _mix(image: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Multiply the channels of (B, 3, H, W) by a 3×3 matrix."""
    return F.conv2d(image, image.new_tensor(matrix)[:, :, None, None])


def _code(plane: Tensor, table: Tensor, rounding: Rounding) -> Tensor:
    """Transform, quantise, and back: (B, C, h, w), centred on 0."""
    height, width = plane.shape[-2:]
    coefficients = block_dct(plane) / table
    b, c, rows, columns = coefficients.shape[:4]
    dct = _dct(plane)
    blocks = dct.T @ (_round(coefficients, rounding) * table) @ dct
    decoded = blocks.transpose(3, 4).reshape(b, c, 8 * rows, 8 * columns)
    return decoded[..., :height, :width]


def _dct(like: Tensor) -> Tensor:
    """The orthonormal 8×8 DCT-II matrix: rows are frequencies."""
    frequency = torch.arange(8, dtype=torch.float64)[:, None]
    position = torch.arange(8, dtype=torch.float64)
    matrix = 0.5 * torch.cos((2 * position + 1) * frequency * pi / 16)
    matrix[0] /= 2**0.5
    return matrix.to(like)


def _round(v: Tensor, rounding: Rounding) -> Tensor:
    if rounding == "fourier":
        waves = [(-1) ** (n + 1) / n * torch.sin(2 * pi * n * v) for n in range(1, 10)]
        return v - torch.stack(waves).sum(dim=0) / pi
    rounded: Tensor = _ExactRound.apply(v)  # type: ignore[no-untyped-call]
    return rounded


class _ExactRound(Function):
    """Round; the gradient is multiplied by 1 − ½·cos(2πv)."""

    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        ctx.save_for_backward(v)
        return v.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (v,) = ctx.saved_tensors
        return gradients[0] * (1 - 0.5 * torch.cos(2 * pi * v))
