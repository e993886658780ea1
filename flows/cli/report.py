"""`refold report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from flows.cli.console import Json, Verbose, err, out, print_json
from flows.cli.exits import Exit
from flows.cli.running import run_flow


def report(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    run: Annotated[
        str | None,
        typer.Option(help="Id of an archive or backfill run. The default is the latest."),
    ] = None,
    worst: Annotated[int, typer.Option(help="Number of the worst restorations to show.")] = 6,
    output: Annotated[
        str | None, typer.Option(help="Write the page to this file instead of into the archive.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a page that tells what a run did, with its worst restorations, into ARCHIVE."""
    from tasks.jobs.report.check import Request, check
    from tasks.storage.addresses import expand_home

    check(Request(archive=archive, run_id=run, worst=worst, output=output))
    from flows.report import report as flow

    result = run_flow(
        "report",
        flow,
        archive=archive,
        run_id=run,
        worst=worst,
        output=None if output is None else expand_home(output),
    )
    if json:
        print_json(asdict(result))
    else:
        out.print(result.location)
    report_refused(asdict(result)["refused"])


def report_refused(refused: Sequence[Mapping[str, Any]]) -> None:
    """Name the restorations that were to be shown and did not pass their checks.

    Raises:
        typer.Exit: There are some.
    """
    for one in refused:
        reason = f"{one['source_key']} at {one['target']}: restoration refused: {one['reason']}"
        err.print(reason, style="red")
    if refused:
        raise typer.Exit(Exit.FAILED)
