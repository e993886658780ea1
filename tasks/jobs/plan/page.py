"""A page that shows what a collection would cost under several plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from tasks.jobs.plan.costs import PlanCosts
from tasks.pages.environment import page_environment
from tasks.pages.words import size_text


def render_costs(result: PlanCosts, qualities: Mapping[str, Sequence[float]]) -> str:
    """Return the page as HTML that needs nothing else.

    Args:
        result: What `plan_costs` found.
        qualities: PSNR-Y (dB) of every archived source of the sample, by plan.
    """
    environment = page_environment()
    finite = [value for values in qualities.values() for value in values if isfinite(value)]
    low, high = (min(finite) - 0.5, max(finite) + 0.5) if finite else (30.0, 50.0)
    spread = {
        name: [min(100.0, 100 * (value - low) / (high - low)) for value in values]
        for name, values in qualities.items()
    }
    largest = max(row.stored_bytes for row in result.plans) or 1
    return environment.get_template("costs.html").render(
        result=result, spread=spread, low=low, high=high, largest=largest, size_text=size_text
    )
