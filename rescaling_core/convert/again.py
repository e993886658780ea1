"""Asking for a rendition that is as good as one that was made before."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING

from rescaling_core.codecs import CodecSpec
from rescaling_core.plan import Candidate, Floor, ResidualPlan, Target, TargetPlan

if TYPE_CHECKING:
    from rescaling_core.metadata import RestorationMetadata

SLACK_DB = 0.05
"""dB below the recorded PSNR-Y that a repaired rendition may have: the default margin of a floor,
so that it does not fall below the floor the first one had to reach."""


SLACK_POINTS = 0.1
"""The same for SSIMULACRA 2."""


def plan_like(recorded: RestorationMetadata) -> TargetPlan:
    """The one candidate that won when the rendition was made, asked to be as good again."""
    residual = None
    if recorded.residual is not None and recorded.residual.quality is not None:
        quality = recorded.residual.quality
        spec = CodecSpec.parse(recorded.residual.codec, quality)
        residual = ResidualPlan(codec=spec, qualities=(quality, quality))
    codec = CodecSpec.parse(recorded.codec, recorded.quality)
    return TargetPlan(
        target=Target.parse(recorded.target),
        candidates=(
            Candidate(
                recorded.rescaler,
                codec,
                residual=residual,
                refinement=recorded.refinement or 0,
                lr_mode="colour" if recorded.lr_channels == 3 else "source",
            ),
        ),
        floor=floor_like(recorded),
    )


def floor_like(recorded: RestorationMetadata) -> Floor:
    """As good as what was measured when the rendition was made."""
    if recorded.psnr_y is None:  # a preview
        return Floor()
    if isinf(recorded.psnr_y):
        return Floor(max_abs_error=recorded.max_abs_error).without_margins()
    seen = recorded.ssimulacra2
    return Floor(
        psnr_y=min(100.0, recorded.psnr_y - SLACK_DB),
        ssimulacra2=None if seen is None or seen <= SLACK_POINTS else seen - SLACK_POINTS,
    ).without_margins()
