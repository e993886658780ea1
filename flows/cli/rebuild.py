"""`refold rebuild`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.console import EXIT_FAILED, Json, Verbose, err, out, print_json, progress_bar


def rebuild(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make a lost catalog again from the LR objects of ARCHIVE."""
    from tasks.storage import open_store

    open_store(archive).require_root()
    from flows.rebuild import rebuild as flow

    with progress_bar("rebuild"):
        result = flow(archive=archive)
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
        raise typer.Exit(EXIT_FAILED)
