"""A flow that the command runs is the flow it was, and what it came to is not lost."""

from __future__ import annotations

from flows.archive import archive
from flows.cli.running import _observed
from tasks.plans.options import PlanOptions


def test_prefect_reads_the_parameters_of_an_observed_flow_as_before() -> None:
    observed = _observed(archive, lambda _: None)
    asked = {"source": "a", "archive": "b", "options": PlanOptions(targets=("x2",))}
    assert observed.validate_parameters(asked)["options"] == PlanOptions(targets=("x2",))  # type: ignore[attr-defined]
    assert observed.name == archive.name == "archive"  # type: ignore[attr-defined]
    assert archive.fn.__globals__["__name__"] == "flows.archive", "the flow itself is left alone"


def test_what_a_flow_came_to_is_told_before_prefect_hears_of_it() -> None:
    from prefect import flow

    told: list[int] = []

    @flow
    def double(number: int) -> int:
        return 2 * number

    assert _observed(double, told.append).fn(21) == 42  # type: ignore[attr-defined]
    assert told == [42]
