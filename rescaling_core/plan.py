"""What an owner asks for: targets, candidates, floors, limits. Validated before any work."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Final, Literal

from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.floor import NO_FLOOR
from rescaling_core.floor import Floor as Floor  # parts of plans: importable from here
from rescaling_core.strategy import FULL_SIZE as FULL_SIZE
from rescaling_core.strategy import TRANSCODE as TRANSCODE
from rescaling_core.strategy import strategy_name

DEFAULT_MAX_PIXELS: Final = 200_000_000
"""Width × height above which a source counts as a decompression bomb."""

PREVIEW_RESCALER: Final = "lanczos"
"""What previews are made with: a plain filter, nothing to restore from."""

DEFAULT_PREVIEW_CODEC: Final = CodecSpec("webp", 80)

_SCALE = re.compile(r"x(\d+(?:\.\d+)?)")
_LONG_EDGE = re.compile(r"long-edge=(\d+)")


@dataclass(frozen=True, slots=True)
class Target:
    """One output asked for. Exactly one of the two fields is set."""

    scale: float | None = None
    """HR side / LR side, 1 or above: a rendition that can be restored."""
    long_edge: int | None = None
    """Pixels of the longer LR side: a preview that cannot."""

    def __post_init__(self) -> None:
        if (self.scale is None) == (self.long_edge is None):
            raise UsageError("target: give either a scale or a long edge")
        if self.scale is not None and not (isfinite(self.scale) and self.scale >= 1):
            raise UsageError(f"target {self.name}: a scale is 1 or above, such as x2")
        if self.long_edge is not None and self.long_edge < 1:
            raise UsageError(f"target {self.name}: the long edge is at least 1 pixel")

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `x2`, `x1.5` or `long-edge=256`.

        Raises:
            UsageError: It is neither.
        """
        if match := _SCALE.fullmatch(text):
            return cls(scale=float(match[1]))
        if match := _LONG_EDGE.fullmatch(text):
            return cls(long_edge=int(match[1]))
        raise UsageError(f"target {text!r}: expected a scale such as x2 or x1.5, or long-edge=256")

    @property
    def name(self) -> str:
        """As `parse` reads it, and as the catalog and the storage layout write it."""
        if self.scale is not None:
            return f"x{self.scale:g}"
        return f"long-edge={self.long_edge}"

    @property
    def preview_only(self) -> bool:
        """Whether nothing can be restored from it."""
        return self.scale is None

    def preview_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the preview: never larger than the source, no side under 1."""
        if self.long_edge is None:
            raise ValueError(f"{self.name} is no preview")
        ratio = min(1.0, self.long_edge / max(width, height))
        return max(1, round(width * ratio)), max(1, round(height * ratio))


Sources = Literal["any", "jpeg", "other"]

LrMode = Literal["source", "colour"]

MAX_REFINEMENT: Final = 100
"""Steps; each costs about three restorations."""


@dataclass(frozen=True, slots=True)
class ResidualPlan:
    """How what a restoration misses is coded."""

    codec: CodecSpec
    """Its quality is where the search starts."""
    qualities: tuple[int, int]
    """Lowest and highest that may be tried, on the codec's scale."""

    def __post_init__(self) -> None:
        _check_qualities("residual", self.codec, self.qualities)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to make a rendition."""

    rescaler: str
    """An id of the zoo, `FULL_SIZE` or `TRANSCODE`."""
    codec: CodecSpec
    """Of the LR image; where `qualities` is given, its quality is where the search starts."""
    qualities: tuple[int, int] | None = None
    """Lowest and highest quality that may be tried; None: the codec's own is the only one."""
    residual: ResidualPlan | None = None
    """None: nothing is added to what the rescaler restores."""
    sources: Sources = "any"
    """Which sources it is tried for."""
    refinement: int = 0
    """Steps by which the LR image is refined for the photo at hand; see `refine`."""
    lr_mode: LrMode = "source"
    """`colour`: a grey source gets a colour LR image. It is tried for grey sources alone."""

    def __post_init__(self) -> None:
        name = f"candidate {self.rescaler} {self.codec}"
        if not 0 <= self.refinement <= MAX_REFINEMENT:
            raise UsageError(f"{name}: refinement = {self.refinement}: 0 to {MAX_REFINEMENT} steps")
        if (self.refinement or self.lr_mode == "colour") and self.rescaler in (
            FULL_SIZE,
            TRANSCODE,
        ):
            raise UsageError(
                f"{name}: refinement and lr_mode need a rescaler, at full size there is none"
            )
        if self.qualities is not None:
            _check_qualities(name, self.codec, self.qualities)
        if self.residual is not None and self.rescaler in (FULL_SIZE, TRANSCODE):
            raise UsageError(f"{name}: a residual needs a rescaler, at full size there is none")
        if self.residual is not None and self.qualities is not None:
            raise UsageError(f"{name}: with a residual, the LR image has one fixed quality")
        if self.rescaler == TRANSCODE and str(self.codec) != "jxl-lossless":
            raise UsageError(f"{name}: JPEG files are transcoded to jxl-lossless")

    @property
    def is_open(self) -> bool:
        """Whether a quality is to be searched, which takes a floor to aim at."""
        return self.qualities is not None or self.residual is not None

    @property
    def strategy(self) -> str:
        """What this kind of candidate is called."""
        return strategy_name(
            self.rescaler,
            str(self.codec),
            residual=self.residual is not None,
            refined=self.refinement > 0,
            colour=self.lr_mode == "colour",
        )

    @property
    def is_exact(self) -> bool:
        """Whether every sample comes back, on whatever device."""
        lossless = self.codec.quality is None and self.rescaler == FULL_SIZE
        return lossless or self.rescaler == TRANSCODE

    def serves(self, format: str, channels: int) -> bool:
        """Whether it is tried for sources of a format, by Pillow's name, and 1 or 3 channels."""
        if self.rescaler == TRANSCODE and format != "JPEG":
            return False
        if self.lr_mode == "colour" and channels != 1:
            return False
        return self.sources == "any" or (self.sources == "jpeg") == (format == "JPEG")


def _check_qualities(name: str, codec: CodecSpec, qualities: tuple[int, int]) -> None:
    low, high = qualities
    if codec.quality is None:
        raise UsageError(f"{name}: {codec} is lossless and has no quality to search")
    replace(codec, quality=low)  # which refuses what is off the codec's scale
    replace(codec, quality=high)
    if low > high:
        raise UsageError(f"{name}: qualities from {low} up to {high} are none")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlan:
    """How one target is made."""

    target: Target
    candidates: tuple[Candidate, ...]
    floor: Floor = NO_FLOOR

    def __post_init__(self) -> None:
        if not self.candidates:
            raise UsageError(f"target {self.target.name}: no candidate")
        if self.floor.is_open and any(candidate.is_open for candidate in self.candidates):
            raise UsageError(
                f"target {self.target.name}: a quality is to be searched, but no floor is set"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePlan:
    """All that decides what a run makes of a source."""

    targets: tuple[TargetPlan, ...]
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        names = [plan.target.name for plan in self.targets]
        if not names:
            raise UsageError("plan: at least one target is needed")
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise UsageError(f"plan: target {', '.join(sorted(duplicates))} is given twice")
        if self.max_pixels < 1:
            raise UsageError(f"plan: max_pixels = {self.max_pixels}: at least 1")

    @property
    def target_names(self) -> tuple[str, ...]:
        """As the catalog writes them."""
        return tuple(plan.target.name for plan in self.targets)

    @property
    def rescalers(self) -> tuple[str, ...]:
        """Ids of those that any candidate needs, previews aside."""
        plans = [plan for plan in self.targets if not plan.target.preview_only]
        ids = {candidate.rescaler for plan in plans for candidate in plan.candidates}
        return tuple(sorted(ids - {FULL_SIZE, TRANSCODE}))

    @property
    def digest(self) -> str:
        """SHA-256 of everything above: equal plans, equal digests."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
