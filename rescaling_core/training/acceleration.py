"""The same networks, laid out for tensor cores and compiled, while they are trained."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, pad

from rescaling_core.networks.coupling import DenseBlock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

_ALIGNMENT: Final = 8
"""Tensor cores want multiples of as many 16-bit channels; a dense block starts with 3 or 9."""

_SHAPES: Final = 32


def accelerate(rescaler: nn.Module) -> None:
    """Make the dense blocks of a network fast in training, in place.

    They get zero channels up to a multiple of eight, and are compiled, once for every shape.
    Parameters, their names and what is computed stay, but for the order of rounding.
    """
    # Each stage has two shapes, each with and without 16 bits.
    torch._dynamo.config.recompile_limit = max(_SHAPES, torch._dynamo.config.recompile_limit)
    compute = torch.compile(aligned_dense, dynamic=False)
    for module in rescaler.modules():
        if isinstance(module, DenseBlock):
            module.forward = partial(_forward, module, compute)  # type: ignore[method-assign]


def _forward(
    block: DenseBlock, compute: Callable[[Tensor, list[Tensor], list[Tensor]], Tensor], x: Tensor
) -> Tensor:
    convs = [cast("nn.Conv2d", getattr(block, f"conv{k + 1}")) for k in range(block.depth)]
    # One layout, or a half of a tensor, split off, would be compiled for on its own.
    x = x.contiguous(memory_format=torch.channels_last)
    return compute(x, [conv.weight for conv in convs], [cast("Tensor", c.bias) for c in convs])


def aligned_dense(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """What `DenseBlock` computes, with zero channels after the input and after the output.

    Args:
        x: (B, in, h, w).
        weights: Of its convolutions, (out, in + …, 3, 3) each.
        biases: (out,) each.

    Returns:
        (B, out, h, w).
    """
    channels = x.shape[1]
    missing = -channels % _ALIGNMENT
    features = pad(x, (0, 0, 0, 0, 0, missing))
    *growing, last = zip(weights, biases, strict=True)
    for weight, bias in growing:
        y = conv2d(features, _widen(weight, channels, missing), bias, padding=1)
        features = torch.cat((features, leaky_relu(y, 0.2)), dim=1)
    weight, bias = last
    beyond = -weight.shape[0] % _ALIGNMENT
    weight = pad(_widen(weight, channels, missing), (0, 0, 0, 0, 0, 0, 0, beyond))
    return conv2d(features, weight, pad(bias, (0, beyond)), padding=1)[:, : last[0].shape[0]]


def _widen(weight: Tensor, channels: int, missing: int) -> Tensor:
    """Zero weights for `missing` input channels after the first `channels`."""
    zeros = weight.new_zeros((weight.shape[0], missing, *weight.shape[2:]))
    return torch.cat((weight[:, :channels], zeros, weight[:, channels:]), dim=1)
