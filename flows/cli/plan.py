"""`refold plan`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from flows.cli.archive import plan_text
from flows.cli.console import Json, Verbose, out, print_json, print_table, progress_bar
from rescaling_core.errors import UsageError
from tasks.pages.words import size_text

COMPARED = ("balanced", "faithful", "lossless")
_YEARS = 24
"""Months from which a time is told in years."""


def plan(
    source: Annotated[
        str | None, typer.Argument(help="URL or path of a collection or an archive (only read).")
    ] = None,
    sample: Annotated[int, typer.Option(help="Number of sources to draw at random.", min=1)] = 200,
    preset: Annotated[
        list[str] | None,
        typer.Option(help="A preset to estimate. The default is all that restore."),
    ] = None,
    plan_file: Annotated[
        list[Path] | None,
        typer.Option("--plan", help="A plan file to estimate. May be given several times."),
    ] = None,
    floor: Annotated[
        list[str] | None,
        typer.Option(help="Floor to use instead of the plans' own, such as psnr_y=36."),
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="TOML file with prices per GB and month, by storage class.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots to this file.")] = None,
    seed: Annotated[int, typer.Option(help="Number that decides which sources are drawn.")] = 0,
    show: Annotated[
        str | None, typer.Option(help="Print this preset, or `prices`, as a file to start from.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Estimate what SOURCE would cost under several plans, from a random sample.

    SOURCE is a collection, or an archive whose sources could be converted in other ways.
    """
    if show is not None:
        typer.echo(_text_of(show), nl=False)
        return
    if source is None:
        raise UsageError(
            "plan: give a collection or an archive, or --show with the name of a preset"
        )
    from flows.plan import plan_costs  # imports torch
    from tasks.plans.options import PlanOptions

    floors = tuple(floor or ())
    names = preset or (() if plan_file else COMPARED)
    options = {name: PlanOptions(preset=name, floor=floors) for name in names}
    for path in plan_file or ():
        options[path.name] = PlanOptions(
            plan_toml=plan_text(path), plan_name=path.name, floor=floors
        )
    with progress_bar("plan"):
        found = plan_costs(source, options, sample=sample, seed=seed, prices=prices, html=html)
    result = asdict(found)
    if json:
        print_json(result)
    else:
        _print(result)


def _text_of(name: str) -> str:
    from tasks.pages.prices import PRICES
    from tasks.plans.presets import PRESETS

    texts = {**PRESETS, "prices": PRICES}
    if name not in texts:
        raise UsageError(f"--show {name}: one of {', '.join(texts)}")
    return texts[name]


def _print(result: dict[str, Any]) -> None:
    out.print(
        f"{result['listed']} sources, {size_text(result['listed_bytes'])}; "
        f"{result['sampled']} of them converted, the rest extrapolated"
    )
    first_price = next(iter(result["plans"][0]["per_month"]))
    table = Table()
    table.add_column("plan")
    for name in ("stored", "of sources", "archived", "kept", "lowest dB", "worker hours"):
        table.add_column(name, justify="right")
    table.add_column(f"a month ({first_price})", justify="right")
    table.add_column("once", justify="right")
    table.add_column("pays back", justify="right")
    table.add_column("what won")
    for row in result["plans"]:
        lowest = row["psnr_y_lowest"]
        table.add_row(
            row["plan"],
            size_text(row["stored_bytes"]),
            f"{row['ratio']:.1%}",
            str(row["archived"]),
            str(row["kept"]),
            "" if lowest is None else f"{lowest:.2f}",
            f"{row['worker_hours']:.2f}",
            f"{row['per_month'][first_price]:.4g}",
            f"{row['once']:.4g}",
            _months(row["pays_back"][first_price]) if row["once"] else "",
            ", ".join(f"{who} {count}" for who, count in row["chosen"].items()),
        )
    print_table(table)
    _print_classes(result["plans"])
    if result["storage"]:
        out.print(result["storage"])
    for row in result["plans"]:
        if row["packs"]:
            out.print(
                f"{row['plan']}: {row['packed_files']} LR files lie in some {row['packs']} packs, "
                "each written by one request; a file is read by one request, for its bytes alone"
            )
    for row in result["plans"]:
        if row["extra_pays_back"] is not None:
            months = _months(row["extra_pays_back"][first_price])
            out.print(f"{row['plan']}, for what it takes more than AVIF alone: pays back {months}")


def _print_classes(plans: list[dict[str, Any]]) -> None:
    """What each plan makes of each class of sources in the sample, where there are several."""
    names = sorted({name for row in plans for name in row["classes"]})
    if len(names) < 2:
        return
    table = Table()
    for title in ("in the sample", "sources", "bytes"):
        table.add_column(title)
    measured = [row for row in plans if row["classes"]]
    for row in measured:
        table.add_column(row["plan"], justify="right")
    for name in names:
        found = [row["classes"].get(name) for row in measured]
        first = next(one for one in found if one is not None)
        shares = [
            "" if one is None else f"{one['stored_bytes'] / max(1, one['source_bytes']):.1%}"
            for one in found
        ]
        table.add_row(name, str(first["sources"]), size_text(first["source_bytes"]), *shares)
    print_table(table)


def _months(months: float | None) -> str:
    """How long something takes to pay for itself."""
    if months is None:
        return "never"
    if months >= _YEARS:
        return f"in {months / 12:.0f} years"
    return f"in {months:.1f} months" if months else "at once"
