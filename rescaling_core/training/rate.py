"""What an LR image will cost once a codec has it, as far as a gradient can be told about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from rescaling_core.networks.diffjpeg import block_dct, to_ycc

if TYPE_CHECKING:
    from rescaling_core.codecs import CodecSpec


def estimated_rate(lr: Tensor, decoded: Tensor, spec: CodecSpec) -> Tensor:
    """About how many bits a transform codec spends.

    The mean of log₂(1 + |c|/Δ) over the 8×8 DCT coefficients c of luma and chroma. Δ is the step
    of a uniform quantiser with the error that the real codec just made, Δ²/12; so one estimate
    does for every codec and quality. Real codecs predict and choose transforms besides: the
    estimate tells what is dearer, not what it costs.

    Args:
        lr: (B, 3, h, w) RGB in [0, 1], what was encoded.
        decoded: What came back; no gradient flows through it.
        spec: The codec; its subsampling counts.

    Returns:
        Scalar ≥ 0, bits per pixel.
    """
    levels = lr.float() * 255
    error = torch.mean((levels.detach() - decoded.detach().float() * 255) ** 2)
    step = torch.sqrt(12 * error).clamp(min=1)
    ycc = to_ycc(levels)
    luma, chroma = ycc[:, :1], ycc[:, 1:]
    share = 2.0
    if next(filter(None, (spec.chroma, *spec.codec.chromas, "4:2:0"))) == "4:2:0":
        chroma, share = avg_pool2d(chroma, 2, ceil_mode=True), 0.5
    return _bits(luma, step) + share * _bits(chroma, step)


def _bits(plane: Tensor, step: Tensor) -> Tensor:
    """Mean bits a sample."""
    return torch.log2(1 + block_dct(plane).abs() / step).mean()
