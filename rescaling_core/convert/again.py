"""Asking for a rendition that is as good as one that was made before."""

from __future__ import annotations

from dataclasses import replace
from math import isinf
from typing import TYPE_CHECKING, Any, Final

from rescaling_core.codecs import CodecSpec
from rescaling_core.plan import Candidate, Floor, ResidualPlan, Target, TargetPlan
from rescaling_core.quality.pixel_measures import PSNR_Y
from rescaling_core.quality.scores import known

if TYPE_CHECKING:
    from rescaling_core.metadata import RestorationMetadata

_HIGHER: Final = 4
"""Qualities above the recorded one that a repaired rendition may take: a search ends between two
steps of quality where it can, and encoders change."""


def plan_like(recorded: RestorationMetadata) -> TargetPlan:
    """The one candidate that won when the rendition was made, asked to be as good again."""
    floor = floor_like(recorded)
    codec = CodecSpec.parse(recorded.codec, recorded.quality)
    codec = replace(codec, effort=recorded.effort)
    residual = None
    if recorded.residual is not None and recorded.residual.quality is not None:
        spec = CodecSpec.parse(recorded.residual.codec, recorded.residual.quality)
        # Of its effort nothing is recorded; in all presets it is that of the LR image.
        spec = replace(spec, effort=recorded.effort if spec.name == codec.name else None)
        luma = bool(recorded.residual.luma)
        residual = ResidualPlan(codec=spec, qualities=_from(spec), luma=luma)
    searched = residual is None and codec.quality is not None and not floor.is_open
    return TargetPlan(
        target=Target.parse(recorded.target),
        candidates=(
            Candidate(
                recorded.rescaler,
                codec,
                qualities=_from(codec) if searched else None,
                residual=residual,
                refinement=recorded.refinement or 0,
                lr_mode="colour" if recorded.lr_channels == 3 else "source",
                restorer=recorded.restorer,
                filter="none" if recorded.fitted is None else "fitted",
            ),
        ),
        floor=floor,
    )


def _from(spec: CodecSpec) -> tuple[int, int]:
    quality = spec.quality or 0
    scale = spec.codec.qualities
    return quality, min(quality + _HIGHER, quality if scale is None else scale[-1])


def floor_like(recorded: RestorationMetadata) -> Floor:
    """As good as what was measured when the rendition was made."""
    if recorded.psnr_y is None:  # a preview
        return Floor()
    if isinf(recorded.psnr_y):
        return Floor(max_abs_error=recorded.max_abs_error).without_margins()
    # The margin is taken off, so that a repaired rendition may round otherwise than the first one
    # did, and does not fall below the floor that the first one had to reach.
    wanted: dict[str, Any] = {
        measure.name: measure.floor_below(value)
        for measure, value in known(recorded)
        if measure is PSNR_Y or measure.costly  # a costly one was measured as a floor asked for it
    }
    return Floor(**wanted).without_margins()
