"""Plans as TOML: presets are plans, and a wrong field is named by its path."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rescaling_core.codecs import CodecSpec, files
from rescaling_core.errors import UsageError
from rescaling_core.plan import FULL_SIZE, TRANSCODE, Candidate, Floor, ResidualPlan
from tasks.plans.options import PlanOptions, build_plan, left_out_of_default
from tasks.plans.presets import DEFAULT, PRESETS
from tasks.plans.sections import (
    CandidateSection,
    FloorSection,
    PlanSection,
    ResidualSection,
    TargetSection,
)
from tasks.plans.toml import read_plan

DOCS = Path(__file__).parents[4] / "docs" / "plans.md"

PLAN = """
max_pixels = 5_000_000
[[targets]]
target = "x2"
[targets.floor]
psnr_y = 34
margin_db = 0.1
[[targets.candidates]]
rescaler = "none"
codec = "avif-420"
quality = { min = 20, max = 90 }
effort = 4
[[targets.candidates]]
rescaler = "irn-x2-lite"
codec = "webp"
quality = [50, 70]
residual = { codec = "avif", quality = { min = 10, max = 80 } }
sources = "other"
[[targets.candidates]]
rescaler = "jpeg-transcode"
codec = "jxl-lossless"
[[targets]]
target = "long-edge=64"
candidates = [{ rescaler = "lanczos", codec = "jpeg", quality = 70 }]
"""


def test_a_plan_file_becomes_the_plan_it_says() -> None:
    plan = read_plan(PLAN, name="p")
    full, preview = plan.targets
    assert plan.max_pixels == 5_000_000
    assert full.floor == Floor(psnr_y=34, margin_db=0.1)
    residual = ResidualPlan(CodecSpec("avif", 45), (10, 80))
    assert full.candidates == (
        Candidate(FULL_SIZE, CodecSpec("avif", 55, "4:2:0", 4), qualities=(20, 90)),
        Candidate("irn-x2-lite", CodecSpec("webp", 50), residual=residual, sources="other"),
        Candidate("irn-x2-lite", CodecSpec("webp", 70), residual=residual, sources="other"),
        Candidate(TRANSCODE, CodecSpec("jxl")),
    )
    assert preview.candidates == (Candidate("lanczos", CodecSpec("jpeg", 70)),)


def test_lists_of_qualities_and_steps_are_a_candidate_each() -> None:
    text = PLAN.replace('"other"', '"other"\nrefinement = [0, 4]\nlr_mode = "colour"')
    candidates = read_plan(text, name="p").targets[0].candidates[1:-1]
    assert [(one.codec.quality, one.refinement) for one in candidates] == [
        (50, 0),
        (50, 4),
        (70, 0),
        (70, 4),
    ]
    assert {one.lr_mode for one in candidates} == {"colour"}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_plan(name: str) -> None:
    plan = build_plan(PlanOptions(preset=name))
    assert plan.digest == build_plan(PlanOptions(plan_toml=PRESETS[name])).digest
    for target in plan.targets:
        assert target.target.preview_only or not target.floor.is_open


def test_without_a_plan_a_floor_lets_grey_sources_have_a_colour_lr_image() -> None:
    wished = PlanOptions(codec="avif", refinement=4, floor=("psnr_y=30",))
    (target,) = build_plan(wished).targets
    plain = Candidate("irn-x2-lite", CodecSpec.parse("avif"), refinement=4)
    assert target.candidates == (plain, replace(plain, lr_mode="colour"))
    (target,) = build_plan(replace(wished, floor=())).targets
    assert target.candidates == (plain,)


def test_a_floor_of_ones_own_replaces_the_presets() -> None:
    plan = build_plan(PlanOptions(preset="balanced", floor=("psnr_y=37",)))
    assert [target.floor.psnr_y for target in plan.targets] == [37, None]


@pytest.mark.parametrize(
    ("find", "put", "complaint"),
    [
        ("max_pixels", "maximum", "p: maximum: unknown field; one of targets, max_pixels"),
        ("psnr_y", "psnr", "targets[0].floor.psnr: unknown field; one of psnr_y, ssim_y"),
        ("psnr_y = 34", "ssimulacra2 = 170", "targets[0]: floor.ssimulacra2 = 170: a value above"),
        ("margin_db = 0.1", "margin_levels = 0.5", "targets[0].floor.margin_levels: 0.5"),
        (
            '"other"',
            '"other"\nrefinement = 101',
            "candidates[1]: candidate irn-x2-lite webp: refine",
        ),
        ('"other"', '"other"\nrefinement = "much"', "candidates[1].refinement: 'much': Value"),
        ('"other"', '"other"\nlr_mode = "grey"', "lr_mode: 'grey'; one of source, colour"),
        ("effort = 4", "refinement = 4", "candidate none avif-420: refinement and lr_mode need a"),
        ("quality = 70", "quality = 70, refinement = 4", "nothing is refined or coloured for a"),
        ("psnr_y = 34", "psnr_y = 340", "targets[0]: floor.psnr_y = 340"),
        ("psnr_y = 34", "psnr_y = 'high'", "targets[0].floor.psnr_y: 'high'"),
        ("psnr_y = 34", "", "targets[0]: target x2: a quality is to be searched, but no floor"),
        ('"avif-420"', '"gif"', "targets[0].candidates[0].codec: codec 'gif' is not known; one of"),
        ('"webp"', '"webp-444"', "candidates[1].codec: codec 'webp-444': webp comes as webp"),
        ("min = 20", "min = 95", "candidates[0]: candidate none avif-420: qualities from 95 up"),
        ("max = 90", "max = 900", "candidates[0].quality: codec avif: quality 460: 0 to 100"),
        ("max = 90", "most = 90", "targets[0].candidates[0].quality"),
        ("[50, 70]", "500", "candidates[1].quality: codec webp: quality 500: 0 to 100"),
        ("effort = 4", "effort = 40", "candidates[0].effort: codec avif: effort 40: 0 to 10"),
        ('"none"', '"nothing"', "candidates[0].rescaler: no rescaler 'nothing'; known ids"),
        ("irn-x2-lite", "irn-x4-lite", "candidates[1].rescaler: irn-x4-lite serves x4, not the"),
        ('"other"', '"png"', "candidates[1].sources: 'png'; one of any, jpeg, other"),
        ('target = "x2"', 'target = "2"', "targets[0].target: target '2': expected a scale"),
        ('target = "x2"', "", "targets[0].target: missing"),
        ('"long-edge=64"', '"x2"', "target x2 is given twice"),
        ('"jxl-lossless"', '"png"', "candidates[2]: candidate jpeg-transcode png"),
        ("{ min = 10, max = 80 }", "60", "candidates[1].residual.quality: a range such as"),
        ('"lanczos"', '"bicubic"', "targets[1].candidates[0].rescaler: a preview is made by"),
        ("max_pixels = 5_000_000", "max_pixels = 0", "max_pixels = 0: at least 1"),
        ("[targets.floor]", "[targets.floor", "p: not TOML"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(find: str, put: str, complaint: str) -> None:
    assert find in PLAN
    text = PLAN.replace(find, put, 1)
    if find == '"long-edge=64"':
        text = text.replace('"lanczos"', '"none"')
    with pytest.raises(UsageError, match=re.escape(complaint)):
        read_plan(text, name="p")


def test_a_floor_under_a_preview_contradicts_it() -> None:
    text = '[[targets]]\ntarget = "long-edge=64"\nfloor = { psnr_y = 30 }'
    with pytest.raises(UsageError, match=re.escape("targets[0].floor: long-edge=64 is a preview")):
        read_plan(text, name="p")


def test_an_unknown_preset_and_two_plans_are_refused() -> None:
    with pytest.raises(
        UsageError, match="thumbnails, balanced, smallest, viewable, faithful, lossless"
    ):
        build_plan(PlanOptions(preset="best"))
    with pytest.raises(UsageError, match="not both"):
        build_plan(PlanOptions(preset="balanced", plan_toml=PLAN))


def test_the_documented_example_is_a_valid_plan() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    plan = read_plan(example, name="docs")
    assert plan.target_names == ("x2", "long-edge=256")
    assert len(plan.targets[0].candidates) == 3


@pytest.mark.parametrize(
    "section", [PlanSection, TargetSection, FloorSection, CandidateSection, ResidualSection]
)
def test_every_field_is_documented(section: type[PlanSection]) -> None:
    text = DOCS.read_text("utf-8")
    assert all(f"`{name}`" in text for name in section.model_fields)
    assert all(f"`{name}`" in text for name in PRESETS)


def test_who_states_nothing_gets_the_default_preset() -> None:
    assert build_plan(PlanOptions()).digest == build_plan(PlanOptions(preset=DEFAULT)).digest
    floor = ("psnr_y=37",)
    asked = build_plan(PlanOptions(preset=DEFAULT, floor=floor)).digest
    assert build_plan(PlanOptions(floor=floor)).digest == asked
    assert left_out_of_default() == []
    (png,) = build_plan(PlanOptions(targets=("x4",))).targets
    assert [str(one.codec) for one in png.candidates] == ["png"]


def test_the_default_does_without_what_is_not_installed_and_a_named_preset_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = files.pillow_formats()
    monkeypatch.setattr(files, "pillow_formats", lambda: here - {"JXL"})
    used = {
        one.codec.name for target in build_plan(PlanOptions()).targets for one in target.candidates
    }
    assert used == {"avif", "webp"}
    assert left_out_of_default() == ["codec jxl is not installed: pip install 'refold[jxl]'"]
    with pytest.raises(UsageError, match="not installed"):
        build_plan(PlanOptions(preset=DEFAULT))
