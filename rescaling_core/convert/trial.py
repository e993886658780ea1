"""What becomes of a candidate: encoded, then restored and measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rescaling_core.quality.scores import Scores

if TYPE_CHECKING:
    from rescaling_core.codecs import CodecSpec
    from rescaling_core.metadata import RestorationMetadata
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.plan import Candidate
    from rescaling_core.quality.floor import Floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A candidate's LR file, its measures still to come."""

    data: bytes
    """Already as long as it will be in the end."""
    pixels: U8Array
    """Decoded from it."""
    draft: RestorationMetadata
    candidate: Candidate
    residual_spec: CodecSpec | None = None
    """How its residual was coded, where it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Scores):
    """A candidate that was encoded, decoded and restored.

    A measure is None where the floor does not ask for it, or is missed already.
    """

    encoded: Encoded
    restored: U8Array
    psnr_y: float

    def missed(self, floor: Floor) -> str | None:
        """Which measure falls short, or None."""
        return floor.misses(self, exact=self.encoded.candidate.is_exact)

    def slack(self, floor: Floor) -> float:
        """How far above the floor, in dB or about; below 0 exactly where it is missed."""
        return floor.slack(self, exact=self.encoded.candidate.is_exact)

    def falls_short(self, floor: Floor) -> bool:
        """Whether one of the measures that were taken misses the floor."""
        return floor.slack_so_far(self, exact=self.encoded.candidate.is_exact) < 0
