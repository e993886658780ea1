"""From what a user says to a validated plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rescaling_core import codecs, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.plan import (
    DEFAULT_MAX_PIXELS,
    PREVIEW_RESCALER,
    ArchivePlan,
    Candidate,
    Floor,
    Target,
    TargetPlan,
)

DEFAULT_RESCALERS: Final[tuple[str, ...]] = ("irn-x2-lite", "irn-x4-lite")
"""Of these the first that serves a target's scale, where the user names none."""

DEFAULT_PREVIEW_CODEC: Final = CodecSpec("webp", 80)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """A plan of one candidate for each target, as the command line and deployments state it."""

    targets: tuple[str, ...] = ("x2",)
    """Such as `x2`, `x4`, `long-edge=256`."""
    rescalers: tuple[str, ...] = ()
    """Ids; each target takes the first that serves its scale."""
    codec: str = "png"
    """Of restorable renditions; previews are WebP."""
    quality: int | None = None
    """On the codec's own scale; None for its default."""
    floor: tuple[str, ...] = ()
    """Such as `psnr_y=34`."""
    max_pixels: int = DEFAULT_MAX_PIXELS


def build_plan(options: PlanOptions) -> ArchivePlan:
    """Validate options and turn them into a plan.

    Raises:
        UsageError: An unknown target, rescaler, codec or floor, or a rescaler that does not serve
            a target.
    """
    spec = CodecSpec.parse(options.codec, options.quality)
    codecs.check_available(spec)
    floor = Floor.parse(options.floor)
    targets = [Target.parse(text) for text in options.targets]
    plan = ArchivePlan(
        targets=tuple(_target_plan(target, options, spec, floor) for target in targets),
        max_pixels=options.max_pixels,
    )
    _refuse_unused(options.rescalers, plan)
    return plan


def _target_plan(target: Target, options: PlanOptions, spec: CodecSpec, floor: Floor) -> TargetPlan:
    if target.preview_only:
        preview = Candidate(PREVIEW_RESCALER, DEFAULT_PREVIEW_CODEC)
        return TargetPlan(target=target, candidates=(preview,))
    rescaler = _rescaler_for(target, options.rescalers or DEFAULT_RESCALERS)
    return TargetPlan(target=target, candidates=(Candidate(rescaler, spec),), floor=floor)


def _rescaler_for(target: Target, ids: tuple[str, ...]) -> str:
    passed_over = []
    for name in ids:
        scales = zoo.load(name).rescaler.scales
        if target.scale is not None and target.scale in scales:
            return name
        passed_over.append(f"{name} ({scales})")
    known = ", ".join(passed_over)
    raise UsageError(f"target {target.name}: no rescaler serves this scale; looked at {known}")


def _refuse_unused(ids: tuple[str, ...], plan: ArchivePlan) -> None:
    used = {c.rescaler for target in plan.targets for c in target.candidates}
    if unused := [name for name in ids if name not in used]:
        names = ", ".join(plan.target_names)
        raise UsageError(f"rescaler {', '.join(unused)}: serves none of the targets {names}")
