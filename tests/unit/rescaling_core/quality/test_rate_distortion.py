import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescaling_core.quality.rate_distortion import bd_rate, rate_at

CURVE = [(0.2, 28.0), (0.5, 32.0), (1.0, 35.5), (2.0, 39.0), (4.0, 42.0)]


@given(st.floats(0.1, 10))
def test_a_curve_with_so_many_times_the_bits_costs_that_much_more(factor):
    scaled = [(bits * factor, quality) for bits, quality in CURVE]
    assert bd_rate(CURVE, scaled) == pytest.approx((factor - 1) * 100, abs=1e-6)


def test_the_order_of_points_does_not_matter():
    other = [(bits * 1.3, quality + 0.7) for bits, quality in CURVE]
    assert bd_rate(CURVE, other) == pytest.approx(bd_rate(CURVE[::-1], other[::-1]))


def test_half_a_decibel_more_at_equal_bits_saves_what_the_slope_says():
    straight = [(2.0**k, 30.0 + 3 * k) for k in range(5)]
    better = [(bits, quality + 0.5) for bits, quality in straight]
    assert bd_rate(straight, better) == pytest.approx((2 ** (-0.5 / 3) - 1) * 100)


def test_curves_that_share_no_quality_are_not_compared():
    better = [(bits, quality + 30) for bits, quality in CURVE]
    assert bd_rate(CURVE, better) is None


def test_three_points_are_too_few():
    assert bd_rate(CURVE, CURVE[:3]) is None


def test_bits_between_two_points_lie_between_theirs():
    assert rate_at(CURVE, 32.0) == pytest.approx(0.5)
    assert 0.5 < rate_at(CURVE, 33.0) < 1.0
    assert rate_at(CURVE[::-1], 33.0) == rate_at(CURVE, 33.0)


@pytest.mark.parametrize("quality", [27.9, 42.1])
def test_a_quality_that_a_curve_does_not_reach_has_no_rate(quality):
    assert rate_at(CURVE, quality) is None
    assert rate_at([], quality) is None
