"""What a report adds up from Arrow batches, against plain recomputation."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from math import ceil, inf, isfinite
from statistics import fmean

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescaling_core.errors import UsageError
from rescaling_core.metadata import RestorationMetadata
from rescaling_core.plan.rival import Rival
from tasks.catalog import CatalogRow
from tasks.catalog.strategies import to_json
from tasks.jobs.report.choice import choose_run
from tasks.jobs.report.distribution import Distribution, PointSample
from tasks.jobs.report.reasons import EXAMPLES, MAX_KINDS, OTHER, Reasons
from tasks.jobs.report.summary import quality_of
from tests.rows import row
from tests.unit.report_samples import account, batch, record
from tests.unit.rescaling_core.metadata.test_metadata_documented import EXAMPLE

METADATA = RestorationMetadata.from_json(json.dumps(EXAMPLE))
RIVALS = (Rival("webp at full size", 90), Rival("lanczos, webp", 120, at_least=True))


decibels = st.floats(20, 60) | st.just(inf)
rows_of_a_run = st.lists(
    st.builds(
        row,
        st.text("ab/é\"'<", min_size=1, max_size=4),
        st.sampled_from(["x2", "x4"]),
        st.just("archived"),
        lr_bytes=st.integers(1, 10**12),
        source_size=st.integers(1, 10**13),
        psnr_y=st.none() | decibels,
        ssim_y=st.floats(0, 1),
        rescaler=st.sampled_from(["none", "jpeg-transcode", "irn-x2-lite"]),
    )
    | st.builds(
        row,
        st.text("ab", min_size=1, max_size=3),
        st.sampled_from(["x2", "x4"]),
        st.sampled_from(["kept", "quarantined"]),
        reason=st.sampled_from(["not smaller: 10 bytes", "not smaller: 11 bytes", "empty"]),
    ),
    max_size=30,
    unique_by=lambda one: (one.source_key, one.target),
)


@settings(deadline=None)
@given(rows_of_a_run, st.integers(1, 7), st.integers(0, 5))
def test_sums_counts_and_the_worst_are_those_of_a_plain_loop(
    rows: list[CatalogRow], size: int, worst: int
) -> None:
    found = account(*(rows[i : i + size] for i in range(0, len(rows), size)), worst=worst)
    assert found.rows == len(rows)
    for target in {one.target for one in rows}:
        mine = [one for one in rows if one.target == target]
        archived = [one for one in mine if one.state == "archived"]
        one = found.by_target[target]
        states = Counter(one.state for one in mine)
        assert (one.archived, one.kept, one.quarantined) == (
            states["archived"],
            states["kept"],
            states["quarantined"],
        )
        assert one.source_bytes == sum(one.source_size for one in archived)
        assert one.stored_bytes == sum(one.lr_bytes or 0 for one in archived)
        assert one.full_size == sum(one.rescaler != "irn-x2-lite" for one in archived)
        measured = [one.psnr_y for one in archived if one.psnr_y is not None]
        finite = [value for value in measured if isfinite(value)]
        assert (one.psnr_y.count, one.psnr_y.exact) == (len(measured), measured.count(inf))
        assert one.rates.seen == len(finite)
        if finite:
            assert one.psnr_y.mean == pytest.approx(fmean(finite))
    expected = sorted(
        (one.psnr_y, one.source_key, one.target)
        for one in rows
        if one.state == "archived" and one.psnr_y is not None
    )
    assert [(one.psnr_y, one.source_key, one.target) for one in found.worst] == expected[:worst]
    for state in ("kept", "quarantined"):
        counted = sum(kind.count for kind in found.reasons.of(state))
        assert counted == sum(one.state == state for one in rows)


@given(st.lists(decibels, min_size=1, max_size=60), st.floats(0.01, 1))
def test_quantiles_are_those_of_the_sorted_values_to_half_a_step(
    values: list[float], share: float
) -> None:
    measured = Distribution(0, 100, 0.01)
    for start in range(0, len(values), 7):
        measured.add(np.array(values[start : start + 7]))
    expected = sorted(values)[max(1, ceil(share * len(values))) - 1]
    found = measured.quantile(share)
    assert found == expected or found == pytest.approx(expected, abs=0.0051)
    assert quality_of(measured, 9)["min"] in (None, min(values), round(min(values), 9))


@given(st.lists(st.floats(20, 60), min_size=1, max_size=60), st.integers(1, 40))
def test_bars_hold_every_value_between_their_edges(values: list[float], most: int) -> None:
    measured = Distribution(0, 100, 0.01)
    measured.add(np.array(values))
    edges, counts = measured.bars(most=most, width=0.25)
    assert counts.sum() == len(values)
    assert len(edges) == len(counts) + 1 <= most + 3
    assert edges[0] <= min(values) + 0.01
    assert edges[-1] >= max(values) - 0.01
    plain, _ = np.histogram(np.floor(np.array(values) * 100) / 100 + 0.005, edges)
    assert abs(counts - plain).sum() <= 2  # a value on an edge may round to either side


def test_nothing_measured_has_no_quality() -> None:
    assert quality_of(Distribution(0, 1, 0.1), 2) == dict.fromkeys(("min", "p5", "median", "mean"))


def test_values_outside_the_bins_still_count() -> None:
    measured = Distribution(0, 1, 0.1)
    measured.add(np.array([-0.5, 1.0, 2.0]))
    assert measured.bins.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert quality_of(measured, 2)["min"] == -0.5


def test_a_sample_of_points_is_spread_over_all_that_was_seen() -> None:
    sample = PointSample(100)
    for start in range(0, 10_000, 1000):
        x = np.arange(start, start + 1000, dtype=float)
        sample.add(x, -x)
    assert sample.seen == 10_000
    assert sample.points.shape == (100, 2)
    assert np.array_equal(sample.points[:, 0], -sample.points[:, 1])
    assert len(set(sample.points[:, 0])) == 100
    assert 4000 < sample.points[:, 0].mean() < 6000


def test_reasons_that_differ_in_numbers_are_of_one_kind() -> None:
    rows = [
        row(f"{i:02}.png", target, "kept", reason=f"PSNR-Y {30 + i / 7:.2f} dB is below 34 dB")
        for i in range(20)
        for target in ("x2", "x4")
    ]
    found = account(rows[:13], rows[13:][::-1])
    (kind,) = found.reasons.of("kept")
    assert kind.text == "PSNR-Y … dB is below … dB"
    assert kind.by_target == {"x2": 20, "x4": 20}
    assert sorted(kind.examples) == [f"{i:02}.png" for i in range(EXAMPLES)]
    assert kind.examples["01.png"] == "PSNR-Y 30.14 dB is below 34 dB"
    assert found.reasons.of("quarantined") == []


def test_one_reason_is_told_in_full() -> None:
    rows = [row(key, state="quarantined", reason="empty: 0 bytes", error_class="E") for key in "ab"]
    (kind,) = account(rows).reasons.of("quarantined")
    assert (kind.text, kind.error_class, kind.count) == ("empty: 0 bytes", "E", 2)


def test_a_million_kinds_of_reasons_do_not_fill_the_memory() -> None:
    names = ["".join(chr(97 + int(digit)) for digit in str(i)) for i in range(MAX_KINDS + 50)]
    reasons = Reasons()
    reasons.add(pa.table(batch([row(name, state="kept", reason=name) for name in names])))
    assert len(reasons.kinds) == MAX_KINDS + 1
    assert sum(kind.count for kind in reasons.of("kept")) == len(names)
    other = reasons.of("kept")[0]
    assert (other.text, other.count, len(other.examples)) == (OTHER, 50, EXAMPLES)


def test_strategies_are_added_up_from_the_json_of_each_row() -> None:
    told = replace(METADATA, rescaler="none", codec="webp")
    rows = [
        row(key, lr_bytes=80, metadata_json=told.to_json(), strategies_json=to_json(RIVALS))
        for key in "abc"
    ]
    (webp, lanczos) = account(rows[:2], rows[2:]).strategies.report()["x2"]
    assert (webp.won, webp.alone_bytes, webp.saved_bytes) == (3, 270, 30)
    assert (lanczos.won, lanczos.alone_bytes, lanczos.at_least) == (0, 360, True)


def test_the_latest_run_that_made_renditions_is_chosen() -> None:
    runs = [record("a", "archive"), record("b", "backfill"), record("c", "scrub")]
    assert choose_run(runs, None).run_id == "b"
    assert choose_run(runs, "a").run_id == "a"


@pytest.mark.parametrize("run_id", ["c", "nonesuch"])
def test_an_unknown_run_is_refused_and_the_known_ones_are_named(run_id: str) -> None:
    runs = [record("a", "archive"), record("b", "backfill"), record("c", "scrub")]
    with pytest.raises(UsageError, match=rf"{run_id}.*b \(backfill\), a \(archive\)"):
        choose_run(runs, run_id)


def test_of_many_runs_the_newest_are_named() -> None:
    runs = [record(f"run-{i}", "archive") for i in range(30)]
    with pytest.raises(UsageError, match=r"run-29 .*run-22 \(archive\) and 22 earlier ones"):
        choose_run(runs, "x")


@pytest.mark.parametrize(("jobs", "said"), [((), "none"), (("scrub", "scrub"), "2 of scrub")])
def test_an_archive_without_runs_says_what_there_is(jobs: tuple[str, ...], said: str) -> None:
    runs = [record(str(i), job) for i, job in enumerate(jobs)]
    with pytest.raises(UsageError, match=rf"recorded runs: {said}"):
        choose_run(runs, None)
