"""Restorers as OpenVINO graphs, from 8-bit pixels to 8-bit pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import openvino
import torch
from openvino import opset13 as ops
from torch import Tensor

from rescaling_core.networks.restorer import AROUND, BLOCK, CONTRAST, SLOPE, by_pairs

if TYPE_CHECKING:
    from torch import nn

    from rescaling_core.networks.restorer import Restorer

    Node = Any  # the library types its nodes loosely


def restorer_graph(restorer: Restorer) -> openvino.Model:
    """What `Restorer.forward` computes, between 8-bit pixels.

    The matrices between RGB and YCbCr are multiplied into the convolutions beside them.

    Returns:
        A model of pixels (1, H, W, 3 · pictures), told (1, 2 · pictures) and gains (1,), as
        `Restorer.conditions` gives them; its result is (1, scale · H, scale · W, 3).
    """
    pixels = ops.parameter([1, -1, -1, 3 * restorer.pictures], np.uint8)
    told = ops.parameter([1, 2 * restorer.pictures], np.float32)
    gains = ops.parameter([1], np.float32)
    rgb = ops.multiply(ops.convert(pixels, np.float32), _scalar(1 / 255))
    rgb = ops.transpose(rgb, np.array([0, 3, 1, 2]))
    parts = []
    for k in range(restorer.pictures):
        one = rgb if restorer.pictures == 1 else _channels(rgb, 3 * k, 3 * k + 3)
        means, details = _analysed(restorer, ops.subtract(one, _scalar(0.5)))
        contrast = ops.divide(_scalar(CONTRAST), gains)
        parts += [means, ops.multiply(details, contrast)]
    planes = ops.unsqueeze(told, np.array([2, 3]))
    sides = ops.slice(ops.shape_of(parts[0]), _indices(2), _indices(4), _indices(1))
    shape = ops.concat([ops.constant(np.array([1, 2 * restorer.pictures])), sides], axis=0)
    x = ops.concat([*parts, ops.broadcast(planes, shape)], axis=1)
    x = _rectified(_convolved(restorer.head, x))
    for first, second in by_pairs(restorer.body):
        x = ops.add(x, _convolved(second, _rectified(_convolved(first, x))))
    weight, bias = _last(restorer)
    correction = _convolution(x, weight, bias)
    correction = ops.multiply(ops.depth_to_space(correction, "depth_first", BLOCK), gains)
    base = rgb if restorer.pictures == 1 else _channels(rgb, -3, 3 * restorer.pictures)
    if restorer.scale == BLOCK:
        base = _enlarged(restorer, base)
    levels = ops.multiply(ops.clamp(ops.add(base, correction), 0.0, 1.0), _scalar(255))
    levels = ops.transpose(ops.round(levels, "half_to_even"), np.array([0, 2, 3, 1]))
    return openvino.Model([ops.convert(levels, np.uint8)], [pixels, told, gains])


def _analysed(restorer: Restorer, rgb: Node) -> tuple[Node, Node]:
    """As `Restorer._analysed`, of RGB."""
    matrix = cast("Tensor", restorer.to_ycbcr)
    if restorer.fold == 1:
        means = bands = _convolution(rgb, matrix[:, :, None, None])
    else:
        haar = cast("Tensor", restorer.haar)[:, 0]
        kernels = torch.einsum("oc,byx->obcyx", matrix, haar)  # YCbCr channel, band, RGB channel
        ordered = torch.cat((kernels[:, 0], kernels[:, 1:].flatten(0, 1)))
        bands = _convolution(rgb, ordered, stride=BLOCK, padding=0)
        means = _channels(bands, 0, 3)
    half = AROUND // 2
    around = ops.avg_pool(
        means, [1, 1], [half, half], [half, half], [AROUND, AROUND], exclude_pad=True
    )
    details = [ops.subtract(means, around)]
    if restorer.fold > 1:
        details.append(_channels(bands, 3, 3 * BLOCK**2))
    return means, details[0] if len(details) == 1 else ops.concat(details, axis=1)


def _last(restorer: Restorer) -> tuple[Tensor, Tensor]:
    """Weights and biases that give RGB corrections at once, or one for all three channels."""
    if restorer.colours is None:
        return restorer.luma.weight, cast("Tensor", restorer.luma.bias)
    matrix = cast("Tensor", restorer.to_rgb)
    weight = torch.cat((restorer.luma.weight, restorer.colours.weight)).detach()
    bias = torch.cat((cast("Tensor", restorer.luma.bias), cast("Tensor", restorer.colours.bias)))
    weight = torch.einsum("oc,cs...->os...", matrix, torch.unflatten(weight, 0, (3, BLOCK**2)))
    bias = torch.einsum("oc,cs->os", matrix, torch.unflatten(bias.detach(), 0, (3, BLOCK**2)))
    return weight.flatten(0, 1), bias.flatten()


def _enlarged(restorer: Restorer, picture: Node) -> Node:
    """As `Restorer._enlarged`."""
    kernels = cast("Tensor", restorer.cubic)
    reach = kernels.shape[-1] // 2
    around = np.array([0, 0, reach, reach])
    padded = ops.pad(picture, around, around, "edge")
    weight = torch.zeros(3, BLOCK**2, 3, *kernels.shape[2:])
    for channel in range(3):
        weight[channel, :, channel] = kernels[:, 0]
    enlarged = _convolution(padded, weight.flatten(0, 1), padding=0)
    return ops.depth_to_space(enlarged, "depth_first", BLOCK)


def _rectified(x: Node) -> Node:
    return ops.prelu(x, ops.constant(np.array([SLOPE], np.float32)))


def _convolved(convolution: nn.Conv2d, x: Node) -> Node:
    return _convolution(x, convolution.weight, convolution.bias)


def _convolution(
    x: Node, weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: int = 1
) -> Node:
    sides = [padding if weight.shape[-1] > 1 else 0] * 2
    filters = ops.constant(np.ascontiguousarray(weight.detach().cpu().float().numpy()))
    out = ops.convolution(x, filters, [stride, stride], sides, sides, [1, 1])
    if bias is None:
        return out
    return ops.add(out, ops.constant(bias.detach().cpu().float().numpy().reshape(1, -1, 1, 1)))


def _channels(x: Node, start: int, stop: int) -> Node:
    return ops.slice(x, _indices(start), _indices(stop), _indices(1), _indices(1))


def _indices(index: int) -> Node:
    return ops.constant(np.array([index]))


def _scalar(value: float) -> Node:
    return ops.constant(np.float32(value))
