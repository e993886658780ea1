"""What becomes of a candidate: encoded, then restored and measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A candidate that was encoded, decoded and restored."""

    encoded: Encoded
    restored: U8Array
    psnr_y: float
    ssim_y: float | None = None
    """None where the floor does not ask for it, or is missed already; likewise below."""
    ssimulacra2: float | None = None
    max_abs_error: int | None = None

    def missed(self, floor: Floor) -> str | None:
        """Which measure falls short, or None."""
        return floor.misses(
            psnr_y=self.psnr_y,
            ssim_y=self.ssim_y,
            ssimulacra2=self.ssimulacra2,
            max_abs_error=self.max_abs_error,
            exact=self.encoded.candidate.is_exact,
        )

    def slack(self, floor: Floor) -> float:
        """How far above the floor, in dB or about; below 0 exactly where it is missed."""
        return floor.slack(
            psnr_y=self.psnr_y,
            ssim_y=self.ssim_y,
            ssimulacra2=self.ssimulacra2,
            max_abs_error=self.max_abs_error,
            exact=self.encoded.candidate.is_exact,
        )
