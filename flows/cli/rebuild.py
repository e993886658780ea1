"""`refold rebuild`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.console import Json, Verbose, err, out, print_json
from flows.cli.exits import Exit
from flows.cli.running import run_flow


def rebuild(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make a lost catalog again from the LR objects of ARCHIVE."""
    from tasks.jobs.rebuild.check import Request, check

    check(Request(archive=archive))
    from flows.rebuild import rebuild as flow

    result = run_flow("rebuild", flow, archive=archive)
    if json:
        print_json(asdict(result))
    else:
        out.print(
            f"{result.added} rows added, {result.present} there already, "
            f"{len(result.unreadable)} LR objects unreadable"
        )
    for line in result.missing_networks:
        err.print(line, style="yellow")
    for finding in result.unreadable:
        err.print(f"{finding.lr_key}: {finding.reason}", style="red")
    if result.unreadable:
        raise typer.Exit(Exit.FAILED)
