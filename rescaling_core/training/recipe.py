"""Recipes: everything that decides how a set of weights is made, data and hardware apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rescaling_core.errors import UsageError
from rescaling_core.networks import LatentPolicy

Distance = Literal["l1", "l2", "charbonnier", "log-l2"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """The optimiser and its schedule: AdamW, linear warm-up, then a half cosine."""

    steps: int
    batch: int = 8
    """Patches a step."""
    patch: int = 96
    """HR pixels on a side."""
    learning_rate: float = 1e-3
    """At its highest."""
    final_learning_rate: float = 1e-6
    warmup: int = 100
    """Steps over which the learning rate rises from zero."""
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 1.0
    """Gradients are scaled down to this 2-norm."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones that count."""
    precision: Precision = "float32"
    """Of convolutions; what lies between them stays float32."""
    float32_from: float = 0.9
    """Share of the steps after which `precision` no longer applies."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "patch"):
            if getattr(self, name) < 1:
                raise UsageError(f"recipe: optimisation.{name} = {getattr(self, name)}: at least 1")
        if not self.learning_rate > 0 or not self.clip > 0:
            raise UsageError("recipe: learning_rate and clip are above 0")
        if not 0 <= self.ema < 1:
            raise UsageError(f"recipe: optimisation.ema = {self.ema:g}: at least 0, below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is minimised; all terms are means over samples."""

    restoration: Distance = "charbonnier"
    """Distance of the restored patch from the HR one, in RGB."""
    luma: float = 0.0
    """Weight of the same distance on luma alone."""
    lr: float = 1.0
    """Weight of the squared distance of the LR patch from the bicubic one."""
    latent: float = 0.0
    """Weight of the mean square of what downscaling discards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a set of weights is made."""

    id: str
    title: str
    family: str
    network: Mapping[str, Any]
    """Keyword arguments of the family's class."""
    latent: LatentPolicy
    scales: tuple[float, ...]
    """One is drawn each step, with a probability proportional to its square."""
    optimisation: Optimisation
    objective: Objective = field(default_factory=Objective)
    start: str | None = None
    """Rescaler id or weights file to start from; by default random weights."""
    init_gain: float = 1.0
    """Factor on all random weights: 1 is the papers' initialisation."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.scales:
            raise UsageError(f"recipe {self.id}: at least one scale is needed")
