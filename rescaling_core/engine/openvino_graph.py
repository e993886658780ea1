"""Fused networks as OpenVINO graphs, built node by node: tracing a network takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import openvino
from openvino import opset13 as ops

from rescaling_core.engine.fused import FusedBlock, FusedEnhancedBlock
from rescaling_core.networks.haar import Haar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from rescaling_core.engine.dense import DenseBranches
    from rescaling_core.engine.fused import FusedDown, FusedUp

    Node = Any  # the library types its nodes loosely


def down_graph(down: FusedDown) -> openvino.Model:
    """HR (B, 3, H, W) → LR, as `FusedDown.forward`."""
    hr = ops.parameter([-1, down.split, -1, -1], np.float32)
    state: tuple[Node, ...] = (hr,)
    *before, last = down.operations
    for operation in before:
        if isinstance(operation, Haar):
            state = _halves(_haar(operation, _joined(state)), down.split, operation.out_channels)
        else:
            state = _forward(cast("FusedBlock", operation), *state)
    return openvino.Model([_to_lr(cast("FusedBlock", last), *state)], [hr])


def up_graph(up: FusedUp, *, with_latent: bool) -> openvino.Model:
    """LR (B, 3, h, w), and latent where it is not zero, → HR, as `FusedUp.forward`."""
    lr = ops.parameter([-1, up.split, -1, -1], np.float32)
    latent = ops.parameter([-1, up.latent_channels, -1, -1], np.float32)
    state: tuple[Node, ...] = (lr, latent if with_latent else None)
    for operation in reversed(up.operations):
        if isinstance(operation, Haar):
            channels = operation.out_channels // 4
            x = _haar_inverse(operation, _joined(state))
            state = (x,) if channels == up.split else _halves(x, up.split, channels)
        else:
            state = _inverse(cast("FusedBlock", operation), *state)
    return openvino.Model([state[0]], [lr, latent] if with_latent else [lr])


def _to_lr(block: FusedBlock, low: Node, high: Node) -> Node:
    branches = block.E if isinstance(block, FusedEnhancedBlock) else block.F
    return ops.add(low, _dense(branches, high)[0])


def _forward(block: FusedBlock, low: Node, high: Node) -> tuple[Node, Node]:
    if isinstance(block, FusedEnhancedBlock):
        enhanced, shift = _dense(block.EF, high)
        low = ops.subtract(ops.add(low, enhanced), shift)
    else:
        low = _to_lr(block, low, high)
    shift, gate = _dense(block.GH, low)
    return low, ops.add(ops.multiply(high, ops.exp(_log_gain(gate, block.clamp))), shift)


def _inverse(block: FusedBlock, low: Node, high: Node | None) -> tuple[Node, Node]:
    shift, gate = _dense(block.GH, low)
    high = ops.negative(shift) if high is None else ops.subtract(high, shift)
    high = ops.multiply(high, ops.exp(_log_gain(gate, -block.clamp)))
    if isinstance(block, FusedEnhancedBlock):
        enhanced, shift = _dense(block.EF, high)
        return ops.subtract(ops.add(low, shift), enhanced), high
    return ops.subtract(low, _dense(block.F, high)[0]), high


def _log_gain(gate: Node, clamp: float) -> Node:
    half = ops.multiply(gate, np.float32(0.5))
    return ops.multiply(ops.tanh(half), np.float32(clamp))


def _dense(module: nn.Module, x: Node) -> list[Node]:
    """`DenseBranches.forward`, the branches apart after their common first convolution."""
    dense = cast("DenseBranches", module)
    count = dense.branches
    first = _activated(_conv(x, *dense.parameters_of(1)))
    features = [[x, one] for one in _split(first, count)]
    for k in range(2, dense.depth + 1):
        weights, biases = (p.chunk(count) for p in dense.parameters_of(k))
        for branch, weight, bias in zip(features, weights, biases, strict=True):
            out = _conv(_joined(branch), weight, bias)
            branch.append(_activated(out) if k < dense.depth else out)
    return [branch[-1] for branch in features]


def _conv(x: Node, weight: Tensor, bias: Tensor) -> Node:
    out = ops.convolution(x, _constant(weight), [1, 1], [1, 1], [1, 1], [1, 1])
    return ops.add(out, _constant(bias[None, :, None, None]))


def _activated(x: Node) -> Node:
    return ops.prelu(x, np.array([0.2], np.float32))


def _haar(haar: Haar, x: Node) -> Node:
    weights = _haar_weights(haar) / 4
    return ops.convolution(x, weights, [2, 2], [0, 0], [0, 0], [1, 1])


def _haar_inverse(haar: Haar, y: Node) -> Node:
    return ops.convolution_backprop_data(
        y, _haar_weights(haar), [2, 2], pads_begin=[0, 0], pads_end=[0, 0], dilations=[1, 1]
    )


def _haar_weights(haar: Haar) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(4C, C, 2, 2): the signs of band k of channel c at [k·C + c, c]."""
    channels = haar.out_channels // 4
    signs = haar.haar_weights[:4].cpu().numpy()
    weights = np.zeros((4, channels, channels, 2, 2), np.float32)
    every = np.arange(channels)
    weights[:, every, every] = signs
    return weights.reshape(4 * channels, channels, 2, 2)


def _joined(nodes: Sequence[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else ops.concat(list(nodes), axis=1)


def _split(x: Node, count: int) -> list[Node]:
    return [x] if count == 1 else list(ops.split(x, np.int64(1), count).outputs())


def _halves(x: Node, split: int, channels: int) -> tuple[Node, Node]:
    low, high = ops.variadic_split(x, np.int64(1), np.array([split, channels - split])).outputs()
    return low, high


def _constant(tensor: Tensor) -> Node:
    return ops.constant(np.ascontiguousarray(tensor.detach().cpu().float().numpy()))
