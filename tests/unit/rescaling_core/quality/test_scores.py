"""Every measure of the table keeps what it promises."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescaling_core.metadata import compact
from rescaling_core.quality.floor import NO_FLOOR, Floor
from rescaling_core.quality.measure import Measure
from rescaling_core.quality.pixel_measures import SSIM_Y
from rescaling_core.quality.scores import MEASURES, Scores, known, measure_all, usual

ALL = pytest.mark.parametrize("measure", MEASURES.values(), ids=lambda one: one.name)


@ALL
def test_two_equal_pictures_measure_the_best_and_others_measure_less(measure: Measure) -> None:
    source = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    assert measure.compute(source, source) == pytest.approx(measure.best)
    off = measure.compute(source ^ 16, source)
    assert off < measure.best if measure.higher_is_better else off > measure.best


@ALL
def test_a_floor_under_a_measure_is_reached_by_the_best_and_missed_by_nothing(
    measure: Measure,
) -> None:
    asked = measure.floor_below(min(measure.best, measure.highest)) or 0
    floor = Floor.parse((f"{measure.name}={asked:g}",))
    best = Scores(**{measure.name: measure.best})
    assert floor.misses(best) is None
    assert floor.slack(best) >= 0
    assert floor.slack(Scores()) == -inf
    assert "was not measured" in str(floor.misses(Scores()))
    assert [one for one, _ in known(floor)] == [measure]


@ALL
def test_a_margin_is_a_field_of_every_floor(measure: Measure) -> None:
    assert NO_FLOOR.margin(measure, 30) == measure.margin_at(30)
    assert NO_FLOOR.without_margins().margin(measure, 30) == 0


def test_no_two_fields_of_the_compact_record_have_one_number() -> None:
    numbers = [
        *compact._TEXTS,
        *compact._DIGESTS,
        *compact._NUMBERS,
        *compact._DOUBLES,
        *(7, 29, 33, 34, 35),  # read and written one by one
    ]
    assert len(numbers) == len(set(numbers))
    assert all(name == one.name for name, one in MEASURES.items())
    names = {*compact._NUMBERS.values(), *compact._DOUBLES.values()}
    assert set(MEASURES) <= names


def test_costly_measures_are_taken_only_where_a_floor_asks_for_them() -> None:
    costly = {one for one in MEASURES.values() if one.costly}
    assert costly
    assert not costly & set(usual())
    asked = Floor(ssimulacra2=70)
    assert set(usual(and_of=[NO_FLOOR, asked])) - set(usual()) == {MEASURES["ssimulacra2"]}
    picture = np.zeros((8, 8, 1), np.uint8)
    assert measure_all(picture, picture, usual()).keys() == {one.name for one in usual()}


@given(value=st.floats(1, 60))
def test_what_was_measured_reaches_the_floor_below_it_and_none_above(value: float) -> None:
    for measure in MEASURES.values():
        measured = value / 61 if measure is SSIM_Y else value
        floor = measure.floor_below(measured)
        assert floor is not None
        margin = measure.margin_at(floor)
        assert measure.slack(measured, floor, margin) == pytest.approx(0, abs=1e-4)
