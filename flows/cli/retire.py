"""`refold retire`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import Json, Verbose, err, out, print_json
from flows.cli.exits import Exit
from flows.cli.running import run_flow
from tasks.pages.words import size_text

if TYPE_CHECKING:
    from flows.retire import RetireSummary


def retire(
    source: Annotated[str, typer.Argument(help="URL or path of the collection to delete from.")],
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    older_than: Annotated[
        str, typer.Option(help="Delete only what was archived longer ago: 36h, 30d, 8w.")
    ] = "30d",
    grace: Annotated[
        str, typer.Option(help="Least time between marking a source and deleting it.")
    ] = "7d",
    floor: Annotated[
        list[str] | None,
        typer.Option(
            help="Quality that the best restoration must reach as well, such as psnr_y=40."
        ),
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option(help="Take only keys that match this glob.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out keys that match this glob.")
    ] = None,
    to_class: Annotated[
        str | None,
        typer.Option(
            help="Move sources to this storage class of S3 instead, such as DEEP_ARCHIVE."
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Mark, and delete or move. Without it nothing is changed.")
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Delete sources of SOURCE that ARCHIVE can restore, in two runs: mark, then delete."""
    from tasks.collection.listing import Selection
    from tasks.jobs.retire.check import Request, check

    request = Request(
        source=source,
        archive=archive,
        older_than=older_than,
        grace=grace,
        floor=tuple(floor or ()),
        selection=Selection(include=tuple(include or ()), exclude=tuple(exclude or ())),
        to_class=to_class,
    )
    check(request)
    from flows.retire import retire as flow

    result = run_flow(
        "retire",
        flow,
        source=source,
        archive=archive,
        older_than=older_than,
        grace=grace,
        floor=request.floor,
        selection=request.selection,
        dry_run=not yes,
        to_class=to_class,
    )
    if json:
        print_json(asdict(result) | {"dry_run": not yes})
    else:
        out.print(_text(result, to_class, dry_run=not yes))
    for item in result.unproven:
        err.print(f"not proven: {item.source_key}: {item.reason}", style="red")
    if result.unproven:
        raise typer.Exit(Exit.FAILED)


def _text(result: RetireSummary, to_class: str | None, *, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    gone = (
        f"{result.deleted} {would}deleted ({size_text(result.deleted_bytes)})"
        if to_class is None
        else f"{result.moved} {would}moved to {to_class} ({size_text(result.moved_bytes)})"
    )
    lines = [
        f"{result.listed} sources listed",
        gone,
        f"{result.marked} {would}marked, {result.waiting} marked earlier and waiting",
        *(f"{count} stay: {ground}" for ground, count in sorted(result.stay.items())),
        f"{len(result.unproven)} not proven",
    ]
    if dry_run:
        lines.append("nothing was changed: --yes does it")
    return "\n".join(lines)
