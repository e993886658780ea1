"""Rounding to 8 bits with a gradient, as training and refinement need it."""

from __future__ import annotations

from math import pi
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function

Quantiser = Literal["straight-through", "soft"]


def quantise(v: Tensor, kind: Quantiser = "straight-through") -> Tensor:
    """Clamp to [0, 1] and round to the nearest of 256 levels, half to even.

    Args:
        v: Any shape, near [0, 1].
        kind: The gradient. `straight-through`: passed unchanged, also where clamped.
            `soft`: times 1 − ½·cos(2πv), with v clamped.

    Returns:
        The same shape, multiples of 1/255 in [0, 1].

    Source:
        IRN `Quantization`; AIDN `Quantization_RoundSoft`, whose factor takes v in [0, 1], not in
        levels. It looks like a slip, and it is what trained AIDN's weights.
    """
    function = _StraightThrough if kind == "straight-through" else _Soft
    rounded: Tensor = function.apply(v)  # type: ignore[no-untyped-call]
    return rounded


def _round(v: Tensor) -> Tensor:
    return (v.clamp(0, 1) * 255).round() / 255


class _StraightThrough(Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        return _round(v)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class _Soft(Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        ctx.save_for_backward(v)
        return _round(v)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (v,) = ctx.saved_tensors
        return gradients[0] * (1 - 0.5 * torch.cos(2 * pi * v.clamp(0, 1)))
