"""Plans as TOML: read, validated, every complaint with the path of its field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, TypeVar

from pydantic import ValidationError

from rescaling_core import codecs, limits
from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import CodecUnavailableError, UsageError
from rescaling_core.plan import (
    AS_STORED,
    DEFAULT_PREVIEW_CODEC,
    FULL_SIZE,
    PREVIEW_RESCALER,
    ArchivePlan,
    Candidate,
    Floor,
    ResidualPlan,
    Target,
    TargetPlan,
)
from rescaling_core.zoo import restorers
from tasks.models.weights import load_rescaler
from tasks.plans.sections import (
    CandidateSection,
    FloorSection,
    PlanSection,
    ResidualSection,
    TargetSection,
    explained,
)

T = TypeVar("T")

_MAX_CANDIDATES = 1000
"""The candidates that one table of a plan may stand for."""


def read_plan(
    text: str, *, name: str, floor: Floor | None = None, as_installed: bool = False
) -> ArchivePlan:
    """Turn the TOML of a plan into a plan.

    Args:
        text: The file.
        name: What to call it in errors.
        floor: Instead of the file's, for all targets that can be restored.
        as_installed: Leave out candidates whose codec is not installed, in place of an error.

    Raises:
        UsageError: It is not TOML, or a field is unknown, missing or impossible; with its path and
            what is allowed there.
    """
    section = _section(text, name)
    if as_installed:
        section = _as_installed(section)
    targets = tuple(
        _target_plan(target, f"{name}: targets[{number}]", floor)
        for number, target in enumerate(section.targets)
    )
    return _at(
        name,
        lambda: ArchivePlan(
            targets=targets, max_pixels=section.max_pixels, max_carried=section.max_carried
        ),
    )


def left_out(text: str) -> list[str]:
    """What `read_plan` leaves out of a plan's TOML as installed, each with the way to have it."""
    section = _section(text, "plan")
    codecs_of = {one.codec for target in section.targets for one in target.candidates}
    return sorted({reason for codec in codecs_of if (reason := _why_missing(codec))})


def _section(text: str, name: str) -> PlanSection:
    try:
        return PlanSection.model_validate(limits.read_toml(text))
    except ValidationError as error:  # which is a ValueError too
        raise UsageError(f"{name}: {explained(error)}") from error
    except ValueError as error:
        raise UsageError(f"{name}: not TOML: {error}") from error


def _as_installed(section: PlanSection) -> PlanSection:
    """The same without the candidates whose codec is not installed."""
    targets = type(section.targets)(
        target.model_copy(
            update={
                "candidates": [one for one in target.candidates if _why_missing(one.codec) is None]
            }
        )
        for target in section.targets
    )
    return section.model_copy(update={"targets": targets})


def _why_missing(codec: str) -> str | None:
    """Why a codec cannot be used here, and what to do; None where it can."""
    try:
        codecs.check_available(CodecSpec.parse(codec))
    except CodecUnavailableError as error:
        return str(error)
    return None


def _target_plan(section: TargetSection, path: str, floor: Floor | None) -> TargetPlan:
    target = _at(f"{path}.target", lambda: Target.parse(section.target))
    if target.preview_only:
        return _preview_plan(section, target, path)
    if not section.candidates:
        raise UsageError(f"{path}.candidates: at least one is needed for {target.name}")
    stated = (section.floor or FloorSection()).model_dump()
    wanted = floor or _at(f"{path}", lambda: Floor(**stated))
    candidates = [
        candidate
        for number, one in enumerate(section.candidates)
        for candidate in _candidates(one, target, f"{path}.candidates[{number}]")
    ]
    return _at(
        path,
        lambda: TargetPlan(
            target=target, candidates=tuple(candidates), floor=wanted, store=section.store
        ),
    )


def _preview_plan(section: TargetSection, target: Target, path: str) -> TargetPlan:
    """A preview has one candidate, by default a WebP, and no floor, as nothing is restored."""
    if section.floor is not None:
        raise UsageError(f"{path}.floor: {target.name} is a preview, which has no floor")
    if not section.candidates:
        preview = Candidate(PREVIEW_RESCALER, DEFAULT_PREVIEW_CODEC)
        return TargetPlan(target=target, candidates=(preview,), store=section.store)
    first, where = section.candidates[0], f"{path}.candidates"
    if len(section.candidates) > 1 or not isinstance(first.quality, int | None):
        raise UsageError(f"{where}: {target.name} is a preview: one candidate of one quality")
    if first.rescaler != PREVIEW_RESCALER or first.residual is not None:
        raise UsageError(f"{where}[0].rescaler: a preview is made by {PREVIEW_RESCALER!r}")
    if first.refinement != (0,) or first.lr_mode != "source":
        raise UsageError(f"{where}[0]: nothing is refined or coloured for a preview")
    spec = _spec(first.codec, first.quality, first.effort, f"{where}[0]")
    preview = Candidate(PREVIEW_RESCALER, spec)
    return TargetPlan(target=target, candidates=(preview,), store=section.store)


def _candidates(section: CandidateSection, target: Target, path: str) -> list[Candidate]:
    """One candidate, or one for each quality and each number of steps of a list."""
    _check_rescaler(section.rescaler, target, f"{path}.rescaler")
    plan = None if section.residual is None else _residual(section.residual, f"{path}.residual")
    qualities = section.quality if isinstance(section.quality, tuple) else (section.quality,)
    if len(qualities) * len(section.refinement) > _MAX_CANDIDATES:
        raise UsageError(f"{path}: more than {_MAX_CANDIDATES} qualities and steps to try")
    found = []
    for quality, steps in product(qualities, section.refinement):
        span = _span(quality)
        middle = None if span is None else (span[0] + span[1]) // 2
        spec = _spec(section.codec, quality if span is None else middle, section.effort, path)
        make = partial(
            Candidate,
            section.rescaler,
            spec,
            qualities=span,
            residual=plan,
            sources=section.sources,
            refinement=steps,
            lr_mode=section.lr_mode,
            restorer=section.restorer,
            filter=section.filter,
        )
        found.append(_at(path, make))
        if section.restorer is not None:
            _check_restorer(section.restorer, found[-1], target, f"{path}.restorer")
    return found


def _residual(section: ResidualSection, path: str) -> ResidualPlan:
    span = _span(section.quality)
    if span is None:
        raise UsageError(f"{path}.quality: a range such as {{ min = 10, max = 95 }}")
    spec = _spec(section.codec, (span[0] + span[1]) // 2, section.effort, path)
    return _at(path, lambda: ResidualPlan(spec, span, luma=section.luma))


def _span(quality: Any) -> tuple[int, int] | None:
    return (quality.start, quality.stop - 1) if isinstance(quality, range) else None


def _spec(codec: str, quality: int | None, effort: int | None, path: str) -> CodecSpec:
    spec = _at(f"{path}.codec", lambda: CodecSpec.parse(codec))
    if quality is not None:
        spec = _at(f"{path}.quality", lambda: CodecSpec.parse(codec, quality))
    if effort is not None:
        spec = _at(
            f"{path}.effort", lambda: CodecSpec(spec.name, spec.quality, spec.chroma, effort)
        )
    _at(f"{path}.codec", lambda: codecs.check_available(spec))
    return spec


def _check_rescaler(name: str, target: Target, path: str) -> None:
    if name in AS_STORED:
        return
    try:
        scales = load_rescaler(name).rescaler.scales
    except UsageError as error:
        raise UsageError(f"{path}: {error}; or one of {', '.join(map(repr, AS_STORED))}") from error
    if target.scale is None or target.scale not in scales:
        raise UsageError(f"{path}: {name} serves {scales}, not the target {target.name}")


def _check_restorer(name: str, candidate: Candidate, target: Target, path: str) -> None:
    """That there is one, and for pictures of this codec and size; the effort alone may differ."""
    loaded = _at(path, lambda: restorers.load(name))
    spec = candidate.codec
    scale = 1 if candidate.rescaler == FULL_SIZE else target.scale
    if loaded.network.scale != scale:
        raise UsageError(
            f"{path}: {loaded.id} restores x{loaded.network.scale}, not x{scale or 0:g}; at full "
            f"size it takes one of x1, behind a plain filter one that enlarges"
        )
    lowest, highest = loaded.coding.qualities
    quality = min(max(spec.quality or 0, lowest), highest)
    _at(path, lambda: loaded.check_but_effort(replace(spec, quality=quality)))


def _at(path: str, make: Callable[[], T]) -> T:
    """Put the path before a complaint."""
    try:
        return make()
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
