"""From what a user says to a validated plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.plan import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_PREVIEW_CODEC,
    FULL_SIZE,
    PREVIEW_RESCALER,
    ArchivePlan,
    Candidate,
    Floor,
    Target,
    TargetPlan,
)
from tasks.models.weights import load_rescaler
from tasks.plans.presets import DEFAULT, PRESETS
from tasks.plans.toml import left_out, read_plan

DEFAULT_RESCALERS: Final[tuple[str, ...]] = ("irn-x2-lite", "irn-x4-lite")
"""Of these the first that serves a target's scale, where the user names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """A plan as the command line and deployments state it.

    Either a preset or the text of a plan, with a floor of one's own if wanted; or one candidate for
    each target, of a rescaler, a codec and a quality. Where neither is stated, the default preset.
    """

    preset: str | None = None
    """One of `PRESETS`."""
    plan_toml: str | None = None
    """The text of a plan file: workers need not have the file."""
    plan_name: str = "plan"
    """What to call it in errors."""

    targets: tuple[str, ...] = ()
    """Such as `x2`, `x4`, `long-edge=256`; `x2` where only other things are stated."""
    rescalers: tuple[str, ...] = ()
    """Ids; each target takes the first that serves its scale."""
    codec: str | None = None
    """Of restorable renditions, PNG where only other things are stated; previews are WebP."""
    quality: int | None = None
    """On the codec's own scale; None for its default."""
    refinement: int = 0
    """Steps by which LR images are refined for their photos."""
    floor: tuple[str, ...] = ()
    """Such as `psnr_y=34`."""
    max_pixels: int = DEFAULT_MAX_PIXELS

    @property
    def says_nothing(self) -> bool:
        """Whether it is left to Refold what to make; a floor and a limit may be stated."""
        stated = (self.preset, self.plan_toml, self.codec, self.quality)
        several = (self.targets, self.rescalers, self.refinement)
        return all(one is None for one in stated) and not any(several)


def build_plan(options: PlanOptions) -> ArchivePlan:
    """Validate options and turn them into a plan.

    Raises:
        UsageError: An unknown preset, target, rescaler, codec or floor, a rescaler that does not
            serve a target, or a plan file with a wrong field, by its path.
    """
    if options.says_nothing or options.preset is not None or options.plan_toml is not None:
        return _stated_plan(options)
    spec = CodecSpec.parse(options.codec or "png", options.quality)
    codecs.check_available(spec)
    floor = Floor.parse(options.floor)
    targets = [Target.parse(text) for text in options.targets or ("x2",)]
    plan = ArchivePlan(
        targets=tuple(_target_plan(target, options, spec, floor) for target in targets),
        max_pixels=options.max_pixels,
    )
    _refuse_unused(options.rescalers, plan)
    return plan


def left_out_of_default() -> list[str]:
    """What the default plan does without here, each with the way to have it."""
    return left_out(PRESETS[DEFAULT])


def single_codec_plan(codec: str, like: ArchivePlan) -> ArchivePlan | None:
    """One codec at full size, tuned to a plan's floor: what the plan is to be compared with.

    Args:
        codec: As `CodecSpec.parse` reads it.
        like: Its previews are made as well, so that their bytes count on both sides.

    Returns:
        None where that plan has no floor that a quality could be searched for.
    """
    spec = CodecSpec.parse(codec)
    wanted = [target for target in like.targets if _can_be_tuned_to(target.floor)]
    if not wanted or spec.codec.qualities is None:
        return None
    span = (spec.codec.qualities[0], spec.codec.qualities[-1])
    full = TargetPlan(
        target=Target(scale=1.0),
        candidates=(Candidate(FULL_SIZE, spec, qualities=span),),
        floor=wanted[0].floor,
        store=wanted[0].store,
    )
    previews = [target for target in like.targets if target.target.preview_only]
    return ArchivePlan(
        targets=(full, *previews), max_pixels=like.max_pixels, max_carried=like.max_carried
    )


def _can_be_tuned_to(floor: Floor) -> bool:
    """Whether a lossy codec can just reach it."""
    return not floor.is_open and floor.max_abs_error != 0


def _stated_plan(options: PlanOptions) -> ArchivePlan:
    name, text = options.plan_name, options.plan_toml
    if options.says_nothing:
        name, text = f"preset {DEFAULT}", PRESETS[DEFAULT]
    elif options.preset is not None:
        if text is not None:
            raise UsageError("plan: give a preset or a plan file, not both")
        if options.preset not in PRESETS:
            raise UsageError(f"preset {options.preset!r}: one of {', '.join(PRESETS)}")
        name, text = f"preset {options.preset}", PRESETS[options.preset]
    floor = Floor.parse(options.floor) if options.floor else None
    # Who names a preset gets the whole of it or an error; who names nothing gets what can be had.
    plan = read_plan(text or "", name=name, floor=floor, as_installed=options.says_nothing)
    if options.max_pixels != DEFAULT_MAX_PIXELS:
        return replace(plan, max_pixels=options.max_pixels)
    return plan


def _target_plan(target: Target, options: PlanOptions, spec: CodecSpec, floor: Floor) -> TargetPlan:
    if target.preview_only:
        preview = Candidate(PREVIEW_RESCALER, DEFAULT_PREVIEW_CODEC)
        return TargetPlan(target=target, candidates=(preview,))
    rescaler = _rescaler_for(target, options.rescalers or DEFAULT_RESCALERS)
    candidate = Candidate(rescaler, spec, refinement=options.refinement)
    if floor.is_open:
        return TargetPlan(target=target, candidates=(candidate,))
    # For grey sources: what a grey LR image cannot reach, one in colour may, at a higher price.
    colour = replace(candidate, lr_mode="colour")
    return TargetPlan(target=target, candidates=(candidate, colour), floor=floor)


def _rescaler_for(target: Target, ids: tuple[str, ...]) -> str:
    passed_over = []
    for name in ids:
        scales = load_rescaler(name).rescaler.scales
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
