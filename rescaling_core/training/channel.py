"""What happens to LR images between downscaling and restoring: a real codec, with a gradient."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.networks.diffjpeg import sain_jpeg

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.training.recipe import Compression

_ENCODERS: Final = len(os.sched_getaffinity(0))


def draw_codec(compression: Compression, generator: torch.Generator) -> CodecSpec | None:
    """The codec and quality of one step; None stands for lossless storage."""
    choice = torch.rand(3, generator=generator).tolist()
    if not compression.codecs or choice[0] >= compression.share:
        return None
    name = compression.codecs[int(choice[1] * len(compression.codecs))]
    lowest, highest = compression.quality
    return CodecSpec.parse(name, lowest + int(choice[2] * (highest - lowest + 1)))


def transmit(lr: Tensor, spec: CodecSpec | None, compression: Compression) -> Tensor:
    """Encode and decode a batch.

    Args:
        lr: (B, 3, h, w), multiples of 1/255 in [0, 1].
        spec: The codec; None changes nothing.
        compression: Says where the gradient comes from.

    Returns:
        (B, 3, h, w) in [0, 1]. `straight-through`: the real codec's pixels, the gradient passed
        unchanged. `simulated`: those of the differentiable JPEG, with its gradient. `mixed`: the
        real codec's pixels, with the gradient of the differentiable JPEG at that quality.
    """
    if spec is None:
        return lr
    kind = compression.gradient
    if kind == "simulated":
        return sain_jpeg(lr, _simulated_quality(spec))
    decoded = through_codec(lr, spec)
    path = lr if kind == "straight-through" else sain_jpeg(lr, _simulated_quality(spec))
    return decoded + (path - path.detach())  # the difference is zero; it carries the gradient


def through_codec(lr: Tensor, spec: CodecSpec) -> Tensor:
    """What a real codec makes of each image of a batch; no gradient.

    Args:
        lr: (B, 3, h, w) near [0, 1]; clamped and rounded to 8 bits first.
        spec: The codec and its settings.

    Returns:
        (B, 3, h, w), multiples of 1/255.
    """
    levels = (lr.detach().clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    pixels = levels.permute(0, 2, 3, 1).contiguous().numpy()
    with ThreadPoolExecutor(_ENCODERS) as pool:
        decoded = np.stack(list(pool.map(lambda image: _round_trip(image, spec), pixels)))
    return torch.from_numpy(decoded).to(lr.device).permute(0, 3, 1, 2).to(lr) / 255


def _round_trip(pixels: U8Array, spec: CodecSpec) -> U8Array:
    return codecs.decode(codecs.encode(pixels, spec))


def _simulated_quality(spec: CodecSpec) -> float:
    """The simulator divides by zero at 100."""
    return min(99.0, 75.0 if spec.quality is None else float(spec.quality))
