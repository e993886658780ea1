"""Recipes: everything that decides how a set of weights is made, data and hardware apart."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads it
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal

from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.networks import LatentPolicy  # noqa: TC001 - the same

Distance = Literal["l1", "l2", "charbonnier", "log-l2"]
ObjectiveName = Literal["plain", "irn", "sain", "aidn"]
Gradient = Literal["straight-through", "simulated", "mixed"]
Precision = Literal["float32", "bfloat16"]

_STRICT: Final = {"extra": "forbid"}
"""How pydantic, which validates recipes at the edge, treats fields there are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """The optimiser and its schedule: AdamW; warm-up, plateau, half cosine."""

    __pydantic_config__: ClassVar = _STRICT

    steps: int
    batch: int = 8
    """Number of patches in a step."""
    patch: int = 96
    """Side of a patch, in HR pixels."""
    learning_rate: float = 1e-3
    """The highest learning rate of the run."""
    final_learning_rate: float = 1e-6
    warmup: int = 100
    """Steps over which the learning rate rises from zero."""
    decay: float = 1.0
    """Share of the steps, at the end, over which it falls; before, it stays at its highest."""
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    clip: float = 1.0
    """Gradients are scaled down to this 2-norm."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones that count."""
    precision: Precision = "float32"
    """Precision of the convolutions; what lies between them stays float32."""
    float32_from: float = 0.9
    """Share of the steps after which `precision` no longer applies."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "patch"):
            if getattr(self, name) < 1:
                raise UsageError(f"recipe: optimisation.{name} = {getattr(self, name)}: at least 1")
        if not self.learning_rate > 0 or not self.clip > 0:
            raise UsageError("recipe: learning_rate and clip are above 0")
        if not 0 < self.decay <= 1:
            raise UsageError(f"recipe: optimisation.decay = {self.decay:g}: above 0, at most 1")
        if not 0 <= self.ema < 1:
            raise UsageError(f"recipe: optimisation.ema = {self.ema:g}: at least 0, below 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is minimised."""

    __pydantic_config__: ClassVar = _STRICT

    name: ObjectiveName = "plain"
    """`plain`: ours, all terms means over samples; the others as the papers publish them."""
    restoration: Distance = "charbonnier"
    """Of `plain`: distance of the restored patch from the HR one, in RGB."""
    luma: float = 0.0
    """Of `plain`: weight of the same distance on luma alone."""
    guidance: float = 1.0
    """Of `plain` and `irn`: weight of the LR patch's squared distance from the bicubic one."""
    rate: float = 0.0
    """Of `plain` with a codec: what one per cent of the LR image's estimated bits is worth, in per
    cent of the restoration's distance. Along a codec's own curve the root of the squared error
    falls by about half a per cent for one more per cent of bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """The codec between downscaling and restoring."""

    __pydantic_config__: ClassVar = _STRICT

    codecs: tuple[str, ...] = ()
    """Codecs as `CodecSpec.parse` reads them; one is drawn each step. None: LR images stay
    lossless."""
    quality: tuple[int, int] = (75, 75)
    """Lowest and highest, in the codec's own scale; drawn evenly each step."""
    share: float = 1.0
    """Share of the steps that use a codec at all."""
    gradient: Gradient = "straight-through"
    """`straight-through`: the real codec, gradient unchanged. `simulated`: a differentiable JPEG
    instead. `mixed`: the real codec's pixels with the simulator's gradient."""

    def __post_init__(self) -> None:
        lowest, highest = self.quality
        if lowest > highest:
            raise UsageError(f"recipe: compression.quality: {lowest} is above {highest}")
        for text in self.codecs:
            for quality in self.quality:
                CodecSpec.parse(text, quality)
            if self.gradient != "straight-through" and not text.startswith("jpeg"):
                raise UsageError(f"recipe: compression: {self.gradient} is for JPEG, not {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often, in steps; both also after the last one."""

    __pydantic_config__: ClassVar = _STRICT

    checkpoint: int = 250
    """Steps between two checkpoints: a killed run loses at most this many."""
    validation: int = 1000

    def __post_init__(self) -> None:
        if min(self.checkpoint, self.validation) < 1:
            raise UsageError("recipe: cadence.checkpoint and cadence.validation: at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a set of weights is made."""

    __pydantic_config__: ClassVar = _STRICT

    id: str
    title: str
    family: str
    network: Mapping[str, Any]
    """Keyword arguments of the network family's class."""
    latent: LatentPolicy
    scales: tuple[float, ...]
    """One is drawn each step, with a probability proportional to its square."""
    optimisation: Optimisation
    objective: Objective = field(default_factory=Objective)
    compression: Compression = field(default_factory=Compression)
    cadence: Cadence = field(default_factory=Cadence)
    start: str | None = None
    """Rescaler id or weights file to start from; by default random weights."""
    init_gain: float = 1.0
    """Factor on all random weights: 1 is the papers' initialisation."""
    starts_as_resampling: bool = False
    """Of AIDN: see `AIDN.start_as_resampling`."""
    data: str = ""
    """What it is meant to be trained on, and under which licences; for the card."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.scales:
            raise UsageError(f"recipe {self.id}: at least one scale is needed")
