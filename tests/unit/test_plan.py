"""Plans: what is accepted, what is refused, and how it says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.plan import ArchivePlan, Candidate, Floor, Target, TargetPlan


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
    assert floor.misses(psnr_y=35, ssim_y=0.1, max_abs_error=8) is None
    assert "PSNR-Y 33.90" in str(floor.misses(psnr_y=33.9, ssim_y=1, max_abs_error=0))
    assert "largest error 9" in str(floor.misses(psnr_y=40, ssim_y=1, max_abs_error=9))


@pytest.mark.parametrize(
    "text", ["psnr=34", "psnr_y", "psnr_y=a", "psnr_y=-1", "ssim_y=2", "max_abs_error=999"]
)
def test_impossible_floor_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="floor"):
        Floor.parse((text,))


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
