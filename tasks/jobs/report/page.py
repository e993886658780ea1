"""The page of a report: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isinf

from markupsafe import Markup

from rescaling_core.plan import Floor
from rescaling_core.quality.measure import Measure
from rescaling_core.quality.scores import MEASURES, known
from tasks.catalog import RunRecord
from tasks.catalog.history import floors_of
from tasks.catalog.strategies import StrategyCost
from tasks.jobs.report.money import monthly_cost
from tasks.jobs.report.previews import Shown
from tasks.jobs.report.summary import RunAccount, TargetAccount, quality_of
from tasks.jobs.report.verdict import verdict
from tasks.pages.environment import page_environment
from tasks.pages.words import duration_text, size_text
from tasks.storage.secrets import masked

MOST_KINDS = 20
"""Most kinds of reasons that are shown for each state."""

_CENT = 0.01
_BARS = 400
"""Bars that the whole range of a measure would have in a histogram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that a page tells."""

    archive: str
    """URL or path of the archive."""
    run: RunRecord
    account: RunAccount
    shown: tuple[Shown, ...]
    """The worst restorations, the worst first."""
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPart:
    """What the page shows of the quality for one target."""

    name: str
    account: TargetAccount
    floor: str
    """The floor in words; empty where none is known."""
    scores: tuple[tuple[Measure, Mapping[str, float | None]], ...]
    """For each measure that was taken, how its values lie."""
    drawn: tuple[tuple[str, Markup], ...]
    """The figures: what each shows in words, and its SVG."""
    verdict: str


def render_report(report: Report) -> str:
    """Return the page as HTML. Keys and reasons are hostile: everything in them is escaped."""
    environment = page_environment()
    environment.filters.update(size=size_text, share=_share, money=_money, measured=_measured)
    run, account = report.run, report.account
    asked = run.parameters
    strategies = account.strategies.report()
    return environment.get_template("report.html").render(
        archive=report.archive,
        run=run,
        duration=duration_text(run.finished_at - run.started_at),
        source=masked(str(asked["source"])) if asked.get("source") else None,
        plan=json.dumps(asked["plan"], indent=2, ensure_ascii=False) if "plan" in asked else None,
        account=account,
        targets=sorted(account.by_target.items()),
        cost=monthly_cost(run.source_bytes, account.stored_bytes),
        parts=_parts(report, strategies),
        strategies=strategies,
        shown=report.shown,
        reasons={
            "kept": account.reasons.of("kept"),
            "quarantined": account.reasons.of("quarantined"),
        },
        most_kinds=MOST_KINDS,
        made_at=report.made_at,
    )


def _parts(report: Report, strategies: Mapping[str, list[StrategyCost]]) -> list[TargetPart]:
    floors = floors_of([report.run])
    return [
        _part(
            name, account, floors.get((report.run.run_id, name), Floor()), strategies.get(name, [])
        )
        for name, account in sorted(report.account.by_target.items())
        if account.psnr_y.count
    ]


def _part(
    name: str, account: TargetAccount, floor: Floor, strategies: list[StrategyCost]
) -> TargetPart:
    from tasks.jobs.report import figures  # imports matplotlib, which no other job draws with

    drawn: list[tuple[str, Markup]] = []
    scores: list[tuple[Measure, Mapping[str, float | None]]] = []
    for measure in MEASURES.values():
        distribution = account.scores[measure.name]
        if not distribution.count:
            continue
        quality = quality_of(distribution, measure.digits)
        scores.append((measure, quality))
        if distribution.count == distribution.exact:
            continue
        svg = figures.histogram(
            distribution,
            label=measure.label,
            width=max((measure.highest - measure.lowest) / _BARS, measure.whole),
            floor=getattr(floor, measure.name),
        )
        words = (
            f"Histogram of the restored {measure.title} for {name}: "
            f"lowest {_measured(quality['min'], measure)}, "
            f"median {_measured(quality['median'], measure)}"
        )
        drawn.append((words, Markup(svg)))  # noqa: S704 - drawn from numbers alone
    if len(account.rates.points):
        svg = figures.scatter(account.rates, floor=floor.psnr_y)
        words = (
            f"Bytes a pixel against PSNR-Y for {name}: {len(account.rates.points)} points of "
            f"{account.rates.seen} renditions"
        )
        drawn.append((words, Markup(svg)))  # noqa: S704 - drawn from numbers alone
    return TargetPart(
        name=name,
        account=account,
        floor=floor_text(floor),
        scores=tuple(scores),
        drawn=tuple(drawn),
        verdict=verdict(account, strategies),
    )


def floor_text(floor: Floor) -> str:
    """What a floor asks for, in words; empty if nothing."""
    return ", ".join(f"{one.title} of {one.with_unit(value)}" for one, value in known(floor))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _measured(value: float | None, measure: Measure) -> str:
    if value is None:
        return "–"
    return "exact" if isinf(value) else measure.text(value)


def _money(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= _CENT or not dollars else "under $0.01"
