"""Recipes of restorers: everything that decides their weights, data and hardware apart."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads it
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal

from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.training.recipe import Cadence, Optimisation

_STRICT: Final = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedPictures:
    """What the restorer is trained on and for."""

    __pydantic_config__: ClassVar = _STRICT

    codec: str
    """As `CodecSpec.parse` reads it, less the quality."""
    effort: int | None = None
    """In the codec's own scale; None for its default."""
    quality: tuple[int, int] = (10, 90)
    """The lowest and the highest quality, in the codec's own scale."""
    per_image: int = 4
    """Qualities at which each training image is coded, spread over the whole range."""
    measured: tuple[int, ...] = (10, 22, 34, 46, 60, 75, 90)
    """Qualities at which each held-out image is measured."""

    def __post_init__(self) -> None:
        lowest, highest = self.quality
        if lowest > highest:
            raise UsageError(f"recipe: pictures.quality: {lowest} is above {highest}")
        most = max(1, highest - lowest)
        if not 1 <= self.per_image <= most:
            raise UsageError(
                f"recipe: pictures.per_image = {self.per_image}: "
                f"1 to {most} for qualities {lowest} to {highest}"
            )
        if not self.measured or not lowest <= min(self.measured) <= max(self.measured) <= highest:
            raise UsageError(f"recipe: pictures.measured: within {lowest} to {highest}, at least 1")
        for quality in self.quality:
            self.spec(quality)

    def spec(self, quality: int) -> CodecSpec:
        """The codec at one quality.

        Raises:
            UsageError: There is no such codec, or it has no such quality or effort.
        """
        spec = CodecSpec.parse(self.codec, quality)
        return CodecSpec(spec.name, spec.quality, spec.chroma, self.effort)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorerRecipe:
    """How the weights of a restorer are made."""

    __pydantic_config__: ClassVar = _STRICT

    kind: Literal["restorer"]
    """Tells it from the recipe of a rescaler."""
    id: str
    title: str
    network: Mapping[str, Any]
    """Keyword arguments of `Restorer`."""
    pictures: CodedPictures
    optimisation: Optimisation
    """`batch` patches of `patch` decoded pixels on a side."""
    colour: float = 0.1
    """Weight of the squared errors of both colour differences beside that of luma, where the
    network corrects them."""
    cadence: Cadence = field(default_factory=Cadence)
    behind: str | None = None
    """Weights of an enlargement whose layered files the network is to filter: it then sees two
    pictures, and `pictures` says how what the enlargement misses is coded. The weights written
    hold both networks."""
    lr_quality: tuple[int, int] = (20, 20)
    """Of the small images, with `behind`: the lowest and the highest."""
    start: str | None = None
    """Restorer id or weights file to start from, of the same kind and at most as large; by default
    one that changes nothing."""
    data: str = ""
    """What it is meant to be trained on, and under which licences; for the card."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.colour < 0:
            raise UsageError(f"recipe {self.id}: colour = {self.colour:g}: at least 0")
        if self.network.get("pictures", 1) != (1 if self.behind is None else 2):
            raise UsageError(
                f"recipe {self.id}: network.pictures is 2 behind an enlargement, else 1"
            )
        if self.behind is not None and self.network.get("scale", 1) != 1:
            raise UsageError(f"recipe {self.id}: what is behind an enlargement does not enlarge")
        if self.lr_quality[0] > self.lr_quality[1]:
            raise UsageError(f"recipe {self.id}: lr_quality: {self.lr_quality} is no range")
        if self.optimisation.patch % 2:
            raise UsageError(f"recipe {self.id}: optimisation.patch is even")
        if self.optimisation.precision != "float32":
            raise UsageError(f"recipe {self.id}: restorers are trained in float32")
