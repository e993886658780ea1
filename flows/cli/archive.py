"""`refold archive`."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from flows.cli.console import Json, Verbose, err, out, print_json, print_table, progress_bar
from flows.cli.exits import Exit
from flows.cli.report import report_refused
from flows.cli.running import run_flow
from rescaling_core.errors import UsageError
from tasks.pages.words import size_text

if TYPE_CHECKING:
    from tasks.jobs.archive.check import Request
    from tasks.jobs.archive.looking import Looked


def archive(
    source: Annotated[str, typer.Argument(help="URL or path of the collection (only read).")],
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as x2 or long-edge=256. May be given several times. Without it, a preset or "
            "a plan, the preset balanced is used."
        ),
    ] = None,
    rescaler: Annotated[
        list[str] | None, typer.Option(help="Id of a rescaler, as `refold models list` shows it.")
    ] = None,
    codec: Annotated[
        str | None, typer.Option(help="Codec of the LR images. The default beside --target is png.")
    ] = None,
    quality: Annotated[
        int | None, typer.Option(help="Quality of the LR images, on the codec's own scale.")
    ] = None,
    refine: Annotated[
        int | None,
        typer.Option(help="Number of steps that refine each LR image. 4 is a good value."),
    ] = None,
    floor: Annotated[
        list[str] | None,
        typer.Option(help="Such as psnr_y=34, ssim_y=0.95, ssimulacra2=70 or max_abs_error=8."),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="A plan file, as docs/plans.md describes it.", dir_okay=False),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="One of thumbnails, balanced, smallest, viewable, faithful and lossless."
        ),
    ] = None,
    max_pixels: Annotated[
        int | None, typer.Option(help="Put sources with more pixels into quarantine.")
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(help="Take only keys that match this glob. A * also matches /."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out keys that match this glob.")
    ] = None,
    retry_quarantined: Annotated[
        bool, typer.Option("--retry-quarantined", help="Try sources in quarantine again.")
    ] = False,
    inventory: Annotated[
        str | None,
        typer.Option(help="Read this manifest.json of an S3 Inventory report instead of listing."),
    ] = None,
    follow_links: Annotated[
        bool,
        typer.Option("--follow-links", help="Follow symbolic links that lead out of SOURCE."),
    ] = False,
    include_renditions: Annotated[
        bool,
        typer.Option(
            "--include-renditions", help="Also take LR files that Refold made as sources."
        ),
    ] = False,
    verify_sources: Annotated[
        bool,
        typer.Option(
            "--verify-sources", help="Read sources that look unchanged and compare their SHA-256."
        ),
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Write a page about the run into the archive.")
    ] = False,
    allow_empty: Annotated[
        bool,
        typer.Option("--allow-empty", help="Go on although nothing is left in SOURCE."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Convert what is new or changed in SOURCE into renditions in ARCHIVE."""
    from tasks.collection.listing import Selection
    from tasks.jobs.archive.check import Request, check
    from tasks.plans.options import PlanOptions, left_out_of_default  # imports torch
    from tasks.storage.addresses import absolute_address

    settings = (target, rescaler, codec, quality, refine)
    if (plan or preset) and any(one is not None for one in settings):
        raise UsageError(
            "a plan or preset states --target, --rescaler, --codec, --quality and --refine itself; "
            "only --floor and --max-pixels go with it"
        )
    options = PlanOptions(
        preset=preset,
        plan_toml=None if plan is None else plan_text(plan),
        plan_name="plan" if plan is None else plan.name,
        targets=tuple(target or ()),
        rescalers=tuple(rescaler or ()),
        codec=codec,
        quality=quality,
        refinement=refine or 0,
        floor=tuple(floor or ()),
        **({} if max_pixels is None else {"max_pixels": max_pixels}),
    )
    selection = Selection(
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        retry_quarantined=retry_quarantined,
        inventory=inventory,
        follow_links=follow_links,
        include_renditions=include_renditions,
        verify_sources=verify_sources,
    )
    for missing in left_out_of_default() if options.says_nothing else ():
        err.print(f"refold: the preset balanced goes without a codec: {missing}")
    request = Request(  # as the flow will have it, which goes on from what was looked at
        source=absolute_address(source),
        archive=absolute_address(archive),
        options=options,
        selection=selection,
    )
    check(request)
    looked = _looked_at(request, allow_empty=allow_empty)
    record = None if looked is None else _without_flow(looked, dry_run=dry_run)
    if record is None:
        from flows.archive import archive as flow
        from tasks.jobs.archive.looking import handing_over

        with handing_over(looked):
            result = run_flow(
                "archive",
                flow,
                source=request.source,
                archive=request.archive,
                options=options,
                dry_run=dry_run,
                selection=selection,
                report=report,
                allow_empty=allow_empty,
            )
        record = asdict(result)
    if json:
        print_json(record)
    elif dry_run:
        out.print(_dry_run_text(record))
    else:
        _print_summary(record)
    if record.get("storage") and not json:
        out.print(record["storage"])
    if page := record.get("report"):
        report_refused(page["refused"])
    if record.get("cold"):
        err.print(
            f"{record['cold']} in a cold class and not read: thaw them in their store, then run "
            f"this again; `refold ls {archive} --state kept` names them"
        )
    if record.get("quarantined"):
        err.print(f"{record['quarantined']} in quarantine: see `refold ls {archive}`")
        raise typer.Exit(Exit.QUARANTINE)
    if record.get("cold"):
        raise typer.Exit(Exit.COLD)


def _looked_at(request: Request, *, allow_empty: bool) -> Looked | None:
    """Look at what there is to do, which needs neither Prefect nor Ray; None: the flow looks."""
    from tasks.control.heard import is_heard_of
    from tasks.jobs.archive.looking import look
    from tasks.storage import StorageError

    if is_heard_of():
        return None
    try:
        with progress_bar("archive", passing=True):
            return look(request, allow_empty=allow_empty)
    except StorageError:  # the flow tries again, with patience
        return None


def _without_flow(looked: Looked, *, dry_run: bool) -> dict[str, Any] | None:
    """The summary of a run that is over when it has looked; None: there is work to do."""
    from flows.results import dry_run_of, summary_of
    from tasks.jobs.archive.looking import record_idle
    from tasks.storage import StorageError, accounting

    if dry_run:
        return asdict(dry_run_of(looked.plan, looked.pending, looked.catalog))
    if not looked.nothing_to_do:
        return None
    try:
        run_id, tally = record_idle(looked)
    except StorageError:  # the flow tries again, with patience
        return None
    seconds = time.monotonic() - looked.since
    return asdict(summary_of(run_id, tally, looked.plan, seconds=seconds, sent=accounting.drain()))


def plan_text(path: Path) -> str:
    """The text of a plan file.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"plan {path}: cannot be read: {error}") from error


def _dry_run_text(record: dict[str, Any]) -> str:
    return (
        f"{record['pending']} of {record['listed']} sources would be converted "
        f"({size_text(record['pending_bytes'])}) to {', '.join(record['targets'])}"
    )


def _print_summary(record: dict[str, Any]) -> None:
    table = Table(title=f"run {record['run_id']}", title_justify="left")
    for name in ("archived", "kept", "quarantined", "unchanged"):
        table.add_column(name, justify="right")
    for name in ("source bytes", "stored bytes", "seconds"):
        table.add_column(name, justify="right")
    table.add_row(
        *(str(record[name]) for name in ("archived", "kept", "quarantined", "unchanged")),
        size_text(record["source_bytes"]),
        size_text(record["stored_bytes"]),
        f"{record['seconds']:.1f}",
    )
    print_table(table)
    for target, report in record["strategies"].items():
        print_table(strategies_table(target, report))
    if record["report"] is not None:
        out.print(record["report"]["location"])


def strategies_table(target: str, report: list[dict[str, Any]]) -> Table:
    """Which strategy of a plan was chosen how often, and what was saved against each alone."""
    table = Table(title=f"strategies for {target}", title_justify="left")
    table.add_column("strategy")
    for name in ("chosen", "alone", "saved against it"):
        table.add_column(name, justify="right")
    for one in report:
        bound = "≥ " if one["at_least"] else ""
        share = one["saved_bytes"] / one["alone_bytes"] if one["alone_bytes"] else 0.0
        table.add_row(
            one["strategy"],
            str(one["won"]),
            f"{bound}{size_text(one['alone_bytes'])}",
            f"{bound}{share:.1%}",
        )
    return table
