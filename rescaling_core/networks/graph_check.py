"""Whether a network's ONNX graph restores what the network itself restores.

An archive keeps the graph for those who have nothing else left, and they have no way to notice that
it is wrong. So it is run once, before it is kept.
"""

from __future__ import annotations

import json
from math import floor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from rescaling_core.networks.base import ResamplingRescaler, Window
from rescaling_core.networks.latent import seeded_generator

if TYPE_CHECKING:
    from onnx.reference import ReferenceEvaluator
    from torch import Tensor

    from rescaling_core.networks.base import Rescaler

_SIDES: Final = (7, 10)
"""Of the LR picture that is tried: small, as a graph is run without any speed here."""

_CLIPPED: Final = 0.25
"""Restored values this far below 0 and above 1 are compared; all beyond is the same to a viewer."""

_PICTURES: Final = 3
"""Tried at most. A network that rounds inside may round a value that lies half way between two
levels either way, and what it restores there differs by as much. A picture without such a value is
found soon; a graph that is wrong is wrong on every one."""

_SAME: Final = 0.01
"""Levels of 255 within which nothing but the order of sums differs: no other picture is tried."""

_CANNOT_RUN: Final = (RuntimeError, TypeError, ValueError, ArithmeticError, LookupError)
"""What the reference evaluator raises of a graph that is not one."""


def disagreement(rescaler: Rescaler, graph: bytes) -> float:
    """The largest difference of what both restore from one small LR picture.

    Args:
        rescaler: Gave the graph.
        graph: What `rescaler.restoring_graph()` wrote.

    Returns:
        In levels of 255, on the picture of a few where it is least; infinite where the graph cannot
        be run or gives another shape.
    """
    import onnx  # takes half a second
    from onnx.reference import ReferenceEvaluator

    from rescaling_core.networks.graph import NOTE

    model = onnx.load_from_string(graph)
    note = next(json.loads(entry.value) for entry in model.metadata_props if entry.key == NOTE)
    try:
        evaluator = ReferenceEvaluator(model)
    except _CANNOT_RUN:
        return float("inf")
    least = float("inf")
    for seed in range(1, _PICTURES + 1):
        least = min(least, _on_one_picture(rescaler, evaluator, note, seed))
        if least <= _SAME:
            break
    return least


def _on_one_picture(
    rescaler: Rescaler, evaluator: ReferenceEvaluator, note: dict[str, Any], seed: int
) -> float:
    scale = min(max(2.0, rescaler.scales.minimum), rescaler.scales.maximum)
    generator = seeded_generator(seed)
    lr = torch.rand(1, note["lr_channels"], *_SIDES, generator=generator)
    feeds: dict[str, Any] = {"lr": lr.numpy()}
    if note["kind"] == "tiles":
        latent = None
        if "latent" in evaluator.input_names:
            latent = torch.randn(1, note["latent_channels"], *_SIDES, generator=generator)
            feeds["latent"] = latent.numpy()
        size = (int(scale) * _SIDES[0], int(scale) * _SIDES[1])
        with torch.inference_mode():
            wanted = rescaler.upscale(lr, size, scale=scale, latent=latent)
    elif isinstance(rescaler, ResamplingRescaler):
        feeds["scale"] = np.array([scale])
        wanted = _window(rescaler, lr, scale, feeds)
    else:
        return float("inf")
    try:
        with np.errstate(all="ignore"):  # its sigmoid overflows where the result is not used
            outputs: Any = evaluator.run(None, feeds)
            found = np.asarray(outputs[0])
    except _CANNOT_RUN:
        return float("inf")
    if found.shape != tuple(wanted.shape):
        return float("inf")
    low, high = -_CLIPPED, 1 + _CLIPPED
    difference = np.clip(found, low, high) - wanted.clamp(low, high).numpy()
    return 255 * float(np.nan_to_num(abs(difference), nan=np.inf).max())


def _window(
    rescaler: ResamplingRescaler, lr: Tensor, scale: float, feeds: dict[str, Any]
) -> Tensor:
    """Restore a part of what the LR picture stands for, and say to the graph which.

    It lies in the middle: at edges the reference evaluator samples otherwise than all others.
    """
    windows = []
    for name, side in zip(("rows", "columns"), _SIDES, strict=True):
        whole = floor(side * scale)
        asked = slice(whole // 3, 2 * whole // 3)
        feeds[name] = np.array((0, asked.start, asked.stop, side, whole))
        windows.append(Window(given=slice(0, side), asked=asked, length=side, result=whole))
    with torch.inference_mode():
        return rescaler.upscale_part(lr, scale, (windows[0], windows[1]))
