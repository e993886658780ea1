"""Plans: what is accepted, what is refused, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.plan import FULL_SIZE, ArchivePlan, Candidate, Floor, Target, TargetPlan
from rescaling_core.quality.scores import Scores


@pytest.mark.parametrize("text", ["x1", "x2", "x4", "x1.5", "long-edge=256"])
def test_target_name_reads_back(text: str) -> None:
    assert Target.parse(text).name == text


@pytest.mark.parametrize(
    "text", ["", "2", "x", "x0.9", "x0.5", "x-2", "x2 ", "long-edge=0", "long-edge=", "xinf", "X2"]
)
def test_unknown_target_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="target"):
        Target.parse(text)


@given(st.integers(1, 30_000), st.integers(1, 30_000), st.integers(1, 4096))
def test_preview_fits_its_long_edge_and_keeps_its_shape(width: int, height: int, edge: int) -> None:
    w, h = Target(long_edge=edge).preview_size(width, height)
    assert 1 <= w <= width
    assert 1 <= h <= height
    assert max(w, h) == min(edge, max(width, height))
    ratio = max(w, h) / max(width, height)
    assert abs(w - width * ratio) <= 1
    assert abs(h - height * ratio) <= 1


def test_floor_names_the_measure_that_falls_short() -> None:
    floor = Floor.parse(("psnr_y=34", "max_abs_error=8"))
    assert floor.misses(Scores(psnr_y=35, ssim_y=0.1, max_abs_error=7)) is None
    assert "PSNR-Y 33.90" in str(floor.misses(Scores(psnr_y=33.9, ssim_y=1, max_abs_error=0)))
    assert "largest error 9" in str(floor.misses(Scores(psnr_y=40, ssim_y=1, max_abs_error=9)))


_PERFECT = {"psnr_y": 99.0, "ssim_y": 1.0, "ssimulacra2": 100.0, "max_abs_error": 0}


@pytest.mark.parametrize(
    ("stated", "within", "enough"),
    [
        ("psnr_y=34", 34.012, 34.013),
        ("psnr_y=40", 40.048, 40.05),
        ("psnr_y=50", 50.46, 50.47),
        ("ssim_y=0.95", 0.9504, 0.9506),
        ("ssimulacra2=70", 70.09, 70.11),
        ("max_abs_error=8", 8, 7),
    ],
)
def test_every_measure_has_to_exceed_its_floor_by_a_margin_unless_nothing_is_rounded(
    stated: str, within: float, enough: float
) -> None:
    floor, name = Floor.parse((stated,)), stated.partition("=")[0]
    short: dict[str, Any] = _PERFECT | {name: within}
    assert "its margin of" in str(floor.misses(Scores(**short)))
    assert floor.slack(Scores(**short)) < 0
    assert floor.misses(Scores(**short), exact=True) is None
    assert floor.without_margins().misses(Scores(**short)) is None
    good: dict[str, Any] = _PERFECT | {name: enough}
    assert floor.misses(Scores(**good)) is None
    assert floor.slack(Scores(**good)) >= 0


def test_a_measure_that_was_not_taken_does_not_reach_its_floor() -> None:
    floor = Floor.parse(("ssimulacra2=70",))
    missed = floor.misses(Scores(psnr_y=99, ssim_y=1, max_abs_error=0))
    assert missed == "ssimulacra2 was not measured, and there is a floor under it"
    assert floor.slack(Scores(psnr_y=99, ssim_y=1, max_abs_error=0)) < 0


@pytest.mark.parametrize(
    "wrong",
    [{"margin_db": -1}, {"margin_ssim": 1}, {"margin_ssimulacra2": 11}, {"margin_levels": 17}],
)
def test_impossible_margins_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Floor(psnr_y=34, **wrong)


@pytest.mark.parametrize(
    "text",
    [
        "psnr=34",
        "psnr_y",
        "psnr_y=a",
        "psnr_y=-1",
        "ssim_y=2",
        "ssimulacra2=101",
        "max_abs_error=999",
    ],
)
def test_impossible_floor_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="floor"):
        Floor.parse((text,))


@pytest.mark.parametrize("wrong", [{"refinement": 4}, {"lr_mode": "colour"}])
def test_what_needs_an_lr_image_is_refused_at_full_size(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="at full size there is none"):
        Candidate(FULL_SIZE, CodecSpec("webp", 80), **wrong)
    with pytest.raises(UsageError, match="refinement = 101: 0 to 100 steps"):
        Candidate("irn-x2-lite", CodecSpec("webp", 80), refinement=101)


def _plan(*names: str, quality: int = 90) -> ArchivePlan:
    candidate = Candidate("irn-x2-lite", CodecSpec("webp", quality))
    targets = tuple(
        TargetPlan(target=Target.parse(name), candidates=(candidate,)) for name in names
    )
    return ArchivePlan(targets=targets)


def test_a_target_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="x2 is given twice"):
        _plan("x2", "x4", "x2")


def test_digest_depends_on_the_plan_alone() -> None:
    assert _plan("x2").digest == _plan("x2").digest
    assert _plan("x2").digest != _plan("x2", quality=80).digest
    assert _plan("x2").digest != _plan("x4").digest
