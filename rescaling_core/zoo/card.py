"""Model cards: what a set of weights is, how it was made, what was measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from math import inf
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from rescaling_core import limits
from rescaling_core.errors import CheckpointError
from rescaling_core.networks import LatentPolicy, Rescaler, ScaleRange, family
from rescaling_core.networks.latent import seeded_generator

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROBE_SIDE = 48
"""Side, in pixels, of the image that multiplications are counted on; a multiple of every integer
scale up to x4, and of x8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known about one set of weights. Stored as JSON beside them."""

    id: str
    title: str
    family: str
    config: Mapping[str, Any]
    """Keyword arguments of the family's class, without the latent policy."""
    latent_policy: LatentPolicy
    scales: ScaleRange
    parameters: int
    """Values in the network, the Haar transforms' constants left out."""
    macs_per_hr_pixel: float
    """Multiply-accumulates of all convolutions and products to downscale, per HR pixel."""
    restore_macs_per_hr_pixel: float
    """Multiply-accumulates of all convolutions and products to restore, per HR pixel."""
    licence: str
    """Licence of the weights, as an SPDX expression or a sentence."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """How the weights were made: data, recipe, command, seed, hardware, minutes, iterations, …"""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """Tables of what was measured: name → rows."""
    notes: str = ""
    weights_sha256: str = ""
    """SHA-256 of the weights file, in hexadecimal."""
    weights_bytes: int = 0

    def to_json(self) -> str:
        """Readable JSON, keys in the order of the fields."""
        values = asdict(self)
        if self.scales.maximum == inf:
            values["scales"]["maximum"] = None
        return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, *, name: str) -> ModelCard:
        """Read what `to_json` wrote.

        Args:
            text: The JSON.
            name: What to call it in an error.

        Raises:
            CheckpointError: It is not a model card.
        """
        try:
            values: dict[str, Any] = limits.read_json(text)
            scales = values["scales"]
            largest = inf if scales["maximum"] is None else scales["maximum"]
            values["scales"] = ScaleRange(scales["minimum"], largest)
            values["latent_policy"] = LatentPolicy(**values["latent_policy"])
            return cls(**{known.name: values.pop(known.name) for known in fields(cls)})
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{name}: not a model card: {error}") from error


def describe(
    rescaler: Rescaler,
    *,
    model_id: str,
    title: str,
    licence: str = "Apache-2.0",
    training: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    notes: str = "",
) -> ModelCard:
    """Write the card of a rescaler; what can be read off the network is.

    The weights' digest and size are filled in by `zoo.save`. `notes` follow the family's own.
    """
    macs, restore_macs = count_macs(rescaler)
    return ModelCard(
        id=model_id,
        title=title,
        family=rescaler.family,
        config=rescaler.config,
        latent_policy=rescaler.latent_policy,
        scales=rescaler.scales,
        parameters=sum(p.numel() for p in rescaler.parameters()),
        macs_per_hr_pixel=round(macs, 1),
        restore_macs_per_hr_pixel=round(restore_macs, 1),
        licence=licence,
        training=training or {},
        metrics=metrics or {},
        notes=" ".join(filter(None, (family(rescaler.family).notes, notes))),
    )


def count_macs(rescaler: Rescaler) -> tuple[float, float]:
    """Multiply-accumulates per HR pixel of downscaling and of restoring, at x2 if there is a range.

    Counted by running a small image; elementwise operations and filters are not counted.
    """
    if next(rescaler.parameters(), None) is None:
        return 0.0, 0.0  # counting imports for seconds, to find that there is nothing to count
    scale = min(max(2.0, rescaler.scales.minimum), rescaler.scales.maximum)
    size = (_PROBE_SIDE, _PROBE_SIDE)
    device = next((p.device for p in rescaler.parameters()), torch.device("cpu"))
    hr = torch.zeros(1, 3, *size, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as down:
        lr = rescaler.downscale(hr, scale).lr
    with torch.no_grad(), FlopCounterMode(display=False) as up:
        rescaler.upscale(lr, size, scale=scale, generator=seeded_generator(0))
    pixels = size[0] * size[1]
    return down.get_total_flops() / 2 / pixels, up.get_total_flops() / 2 / pixels
