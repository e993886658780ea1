"""Numbers in plans, price tables, ages, variables and catalogs are finite and within reason."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rescaling_core.errors import MetadataError, UsageError
from rescaling_core.plan import Floor, Target
from tasks.catalog.history import floors_of
from tasks.catalog.schema import RENDITIONS, RunRecord, to_arrow, to_rows
from tasks.cluster.slots import WorkerSlots, photos_at_once
from tasks.control.ages import parse_age
from tasks.pages.prices import read_prices
from tasks.plans.toml import read_plan
from tests.rows import row

PLAN = """
[[targets]]
target = "x1"
floor = { psnr_y = FLOOR }
candidates = [{ rescaler = "none", codec = "webp", quality = QUALITY, refinement = 0 }]
"""

NUMBERS = ("nan", "-nan", "inf", "+inf", "-inf", "1e999", "1" * 5000, "1" * 40, "-5")


@pytest.mark.parametrize("number", NUMBERS)
def test_no_plan_has_a_floor_that_is_not_a_number(number: str) -> None:
    text = PLAN.replace("FLOOR", number).replace("QUALITY", "80")
    with pytest.raises(UsageError) as caught:
        read_plan(text, name="plan.toml")
    assert "plan.toml" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("quality", [*NUMBERS, "{ min = 1, max = 10000000000 }"])
def test_no_plan_has_a_quality_that_no_codec_knows(quality: str) -> None:
    with pytest.raises(UsageError, match=r"plan\.toml"):
        read_plan(PLAN.replace("FLOOR", "33").replace("QUALITY", quality), name="plan.toml")


def test_no_plan_stands_for_thousands_of_candidates() -> None:
    many = f"[{', '.join(['80'] * 2000)}]"
    with pytest.raises(UsageError, match="more than 1000"):
        read_plan(PLAN.replace("FLOOR", "33").replace("QUALITY", many), name="plan.toml")


@pytest.mark.parametrize("price", NUMBERS)
def test_a_price_is_a_finite_number_of_0_or_more(price: str, tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text(f"standard = {price}\n", encoding="utf-8")
    if price == "1" * 40:
        table.write_text(f"standard = {'1' * 400}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"prices\.toml"):
        read_prices(table)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "", "x"])
@pytest.mark.parametrize("measure", ["psnr_y", "ssim_y", "ssimulacra2", "max_abs_error"])
def test_a_floor_on_the_command_line_is_a_finite_number(measure: str, value: str) -> None:
    with pytest.raises(UsageError, match=measure):
        Floor.parse((f"{measure}={value}",))


@pytest.mark.parametrize("text", ["1" * 5000 + "d", "999999w", "1000000h", "-1d", "nanw", "١d"])
def test_an_age_is_a_time_that_a_calendar_has(text: str) -> None:
    with pytest.raises(UsageError, match="age"):
        parse_age(text)


def test_the_longest_age_leads_to_a_date() -> None:
    assert datetime.now(UTC) - parse_age("99999w") > datetime.min.replace(tzinfo=UTC)
    assert parse_age("36h") == timedelta(hours=36)


@pytest.mark.parametrize(
    "text", ["x" + "9" * 5000, "long-edge=" + "9" * 5000, "xnan", "xinf", "x٢"]
)
def test_a_target_is_a_number_of_few_digits(text: str) -> None:
    with pytest.raises(UsageError, match="target"):
        Target.parse(text)


@pytest.mark.parametrize("text", ["9" * 5000, "nan", "inf", "-1", "0", "²"])
def test_a_variable_is_a_number_of_few_digits(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFOLD_PHOTOS_AT_ONCE", text)
    with pytest.raises(UsageError, match="REFOLD_PHOTOS_AT_ONCE"):
        photos_at_once(WorkerSlots(count=1, cpus=1, gpus=0))


def _run(parameters: str) -> RunRecord:
    now = datetime.now(UTC)
    counts = dict.fromkeys(
        ("listed", "archived", "kept", "quarantined", "unchanged", "source_bytes", "stored_bytes"),
        0,
    )
    return RunRecord(
        run_id="run-1",
        job="archive",
        started_at=now,
        finished_at=now,
        software="refold",
        parameters_json=parameters,
        **counts,
    )


@pytest.mark.parametrize(
    "parameters",
    [
        "no JSON",
        "[]",
        "[" * 100_000,
        '{"plan":{"targets":[{"floor":{"psnr_y":NaN},"target":{"scale":2.0}}]}}',
        '{"plan":{"targets":[{"floor":{"psnr_y":1e999},"target":{"scale":2.0}}]}}',
        '{"plan":{"targets":[{"floor":{"psnr_y":-3},"target":{"scale":2.0}}]}}',
        '{"plan":{"targets":[{"floor":{"unknown":3},"target":{"scale":2.0}}]}}',
        '{"plan":{"targets":[1]}}',
        '{"plan":{"targets":3}}',
    ],
)
def test_damaged_parameters_of_a_run_are_named(parameters: str) -> None:
    with pytest.raises(MetadataError, match="run-1"):
        floors_of([_run(parameters)])


def test_a_measure_that_is_not_a_number_was_not_measured() -> None:
    rows = [
        replace(row("a.png"), psnr_y=math.nan, ssim_y=0.5),
        replace(row("b.png"), psnr_y=math.inf, ssim_y=math.nan),
    ]
    table = to_arrow(rows, RENDITIONS, committed_at=[datetime.now(UTC)] * 2)
    found = to_rows(table)
    assert [(one.psnr_y, one.ssim_y) for one in found] == [(None, 0.5), (math.inf, None)]
