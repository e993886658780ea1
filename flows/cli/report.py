"""`refold report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.console import EXIT_FAILED, Json, Verbose, err, out, print_json, progress_bar
from rescaling_core.errors import UsageError


def report(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    run: Annotated[
        str | None, typer.Option(help="Id of an archive or backfill run; by default the latest.")
    ] = None,
    worst: Annotated[int, typer.Option(help="How many of the worst restorations to show.")] = 6,
    output: Annotated[
        Path | None, typer.Option(help="Write this file instead of into the archive.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a page that tells what a run did, with its worst restorations, into ARCHIVE."""
    from tasks.catalog import open_catalog
    from tasks.jobs.report.choice import check_shown, choose_run
    from tasks.storage import open_store

    # The flow checks these as well; here they answer before Prefect is up.
    check_shown(worst)
    choose_run(open_catalog(open_store(archive), create=False).runs(), run)
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(f"--output {output}: there is no folder {output.parent}")
    from flows.report import report as flow

    with progress_bar("report"):
        result = flow(
            archive=archive, run_id=run, worst=worst, output=None if output is None else str(output)
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
        raise typer.Exit(EXIT_FAILED)
