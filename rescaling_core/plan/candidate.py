"""One way to make a rendition: which network, codec, qualities, refinement, residual."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from rescaling_core.errors import UsageError
from rescaling_core.plan.strategy import AS_STORED, DEEP, EXACT_FILE, PACKED, strategy_name
from rescaling_core.plan.strategy import FULL_SIZE as FULL_SIZE
from rescaling_core.plan.strategy import TRANSCODE as TRANSCODE
from rescaling_core.quality.floor import Floor as Floor  # parts of plans: importable from here

if TYPE_CHECKING:
    from rescaling_core.codecs import CodecSpec

PLAIN_FILTERS: Final = ("lanczos", "bicubic")
"""Rescalers without weights: what reduces an image that a restorer enlarges again."""

MAX_REFINEMENT: Final = 100
"""Steps; each costs about three restorations."""


@dataclass(frozen=True, slots=True)
class ResidualPlan:
    """How what a restoration misses is coded."""

    codec: CodecSpec
    """Its quality is where the search starts."""
    qualities: tuple[int, int]
    """Lowest and highest that may be tried, on the codec's scale."""
    luma: bool = False
    """Code what is missing of luma alone: colours stay as the LR image has them."""

    def __post_init__(self) -> None:
        _check_qualities("residual", self.codec, self.qualities)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to make a rendition."""

    rescaler: str
    """An id of the zoo, `FULL_SIZE`, `TRANSCODE`, `REPACK` or `DEEP`."""
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
    restorer: str | None = None
    """Id of what improves the decoded picture, or enlarges it in place of a plain filter; with a
    residual, what corrects the sum too. At full size a picture that reaches the floor without it
    is stored without it."""
    filter: LastFilter = "none"
    """`fitted`: at full size, a filter is fitted to what the photo decodes or restores to, where
    that brings it to the floor."""

    def __post_init__(self) -> None:
        name = f"candidate {self.rescaler} {self.codec}"
        if not 0 <= self.refinement <= MAX_REFINEMENT:
            raise UsageError(f"{name}: refinement = {self.refinement}: 0 to {MAX_REFINEMENT} steps")
        if (self.refinement or self.lr_mode == "colour") and self.rescaler in AS_STORED:
            raise UsageError(
                f"{name}: refinement and lr_mode need a rescaler, at full size there is none"
            )
        if self.qualities is not None:
            _check_qualities(name, self.codec, self.qualities)
        if self.residual is not None and self.rescaler in AS_STORED:
            raise UsageError(f"{name}: a residual needs a rescaler, at full size there is none")
        if self.residual is not None and self.qualities is not None:
            raise UsageError(f"{name}: with a residual, the LR image has one fixed quality")
        if self.restorer is not None and self.codec.quality is None:
            raise UsageError(f"{name}: a restorer needs a lossy file")
        if self.restorer is not None and self.rescaler not in (FULL_SIZE, *PLAIN_FILTERS):
            raise UsageError(
                f"{name}: a restorer works at full size or behind a plain filter "
                f"({', '.join(PLAIN_FILTERS)}), not behind another network"
            )
        if self.filter != "none" and (self.rescaler != FULL_SIZE or self.codec.quality is None):
            raise UsageError(f"{name}: a filter is fitted to lossy files at full size")
        if self.rescaler == TRANSCODE and str(self.codec) != "jxl-lossless":
            raise UsageError(f"{name}: JPEG files are transcoded to jxl-lossless")
        if self.rescaler == DEEP and (self.codec.name != "avif" or self.codec.chroma is not None):
            raise UsageError(f"{name}: pictures of 16 bits are coded as avif")

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
            restorer=self.restorer,
            fitted=self.filter == "fitted",
        )

    @property
    def plain(self) -> Candidate:
        """The same without a restorer, and without a filter."""
        return replace(self, restorer=None, filter="none")

    @property
    def simpler(self) -> tuple[Candidate, ...]:
        """What its files may be stored as too, where that is enough: without one or the other."""
        forms = dict.fromkeys((replace(self, filter="none"), self.plain))
        return tuple(one for one in forms if one != self)

    @property
    def is_exact(self) -> bool:
        """Whether every sample comes back, on whatever device."""
        lossless = self.codec.quality is None and self.rescaler == FULL_SIZE
        return lossless or self.rescaler in EXACT_FILE

    def serves(self, format: str, channels: int) -> bool:
        """Whether it is tried for sources of a format, by Pillow's name, and 1 or 3 channels.

        `PACKED` are for sources of other kinds alone.
        """
        if self.rescaler in PACKED or (self.rescaler == TRANSCODE and format != "JPEG"):
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


Sources = Literal["any", "jpeg", "other"]


LrMode = Literal["source", "colour"]


LastFilter = Literal["none", "fitted"]
