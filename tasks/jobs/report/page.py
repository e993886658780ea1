"""The page of a report: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isinf

from markupsafe import Markup

from rescaling_core.plan import Floor
from tasks.catalog import RunRecord
from tasks.catalog.history import floors_of
from tasks.catalog.strategies import StrategyCost
from tasks.jobs.report import figures
from tasks.jobs.report.money import monthly_cost
from tasks.jobs.report.previews import Shown
from tasks.jobs.report.summary import RunAccount, TargetAccount, quality_of
from tasks.jobs.report.verdict import verdict
from tasks.pages.environment import page_environment
from tasks.pages.words import duration_text, floor_text, size_text
from tasks.storage.secrets import masked

MOST_KINDS = 20
"""Most kinds of reasons that are shown for each state."""

_CENT = 0.01


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
    psnr_y: Mapping[str, float | None]
    ssim_y: Mapping[str, float | None]
    drawn: tuple[tuple[str, Markup], ...]
    """The figures: what each shows in words, and its SVG."""
    verdict: str


def render_report(report: Report) -> str:
    """Return the page as HTML. Keys and reasons are hostile: everything in them is escaped."""
    environment = page_environment()
    environment.filters.update(
        size=size_text, share=_share, decibels=_decibels, money=_money, similarity=_similarity
    )
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
    psnr_y, ssim_y = quality_of(account.psnr_y, 2), quality_of(account.ssim_y, 4)
    drawn: list[tuple[str, Markup]] = []
    if account.psnr_y.count > account.psnr_y.exact:
        svg = figures.histogram(account.psnr_y, label="PSNR-Y, dB", width=0.25, floor=floor.psnr_y)
        words = (
            f"Histogram of the restored PSNR-Y for {name}: lowest {_decibels(psnr_y['min'])}, "
            f"median {_decibels(psnr_y['median'])}"
        )
        drawn.append((words, Markup(svg)))  # noqa: S704 - drawn from numbers alone
    if account.ssim_y.count:
        svg = figures.histogram(account.ssim_y, label="SSIM-Y", width=0.002, floor=floor.ssim_y)
        words = (
            f"Histogram of the restored SSIM-Y for {name}: lowest {_similarity(ssim_y['min'])}, "
            f"median {_similarity(ssim_y['median'])}"
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
        psnr_y=psnr_y,
        ssim_y=ssim_y,
        drawn=tuple(drawn),
        verdict=verdict(account, strategies),
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _decibels(value: float | None) -> str:
    if value is None:
        return "–"
    return "exact" if isinf(value) else f"{value:.2f} dB"


def _similarity(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _money(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= _CENT or not dollars else "under $0.01"
