"""`refold doctor`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from flows.cli import places
from flows.cli.console import Json, Verbose, print_json, print_table
from flows.cli.exits import Exit


def doctor(
    stores: Annotated[
        list[str] | None, typer.Argument(help="Collections and archives to check as well.")
    ] = None,
    write: Annotated[
        bool,
        typer.Option("--write", help="Also test whether an archive could be written there."),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not start Ray and Prefect's server.")
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Look at what Refold needs of this machine and of stores, and say what to do."""
    from tasks.jobs.doctor import checks

    findings = list(checks.check_installation())
    temporary, cache = Path(places.temporary_folder()), places.cache_folder()
    for name, folder in (("home", Path.home()), ("temporary folder", temporary), ("cache", cache)):
        findings.append(checks.check_folder(name, folder, places.refused(folder)))
    if not quick:
        findings += [checks.check_ray(), checks.check_prefect()]
    for url in stores or ():
        findings += checks.check_store(url, write=write)
    if json:
        print_json({"checks": [asdict(finding) for finding in findings]})
    else:
        table = Table(box=None, pad_edge=False)
        for column in ("check", "state", "found", "what to do"):
            table.add_column(column, overflow="fold")
        for finding in findings:
            table.add_row(finding.name, finding.state, finding.detail, finding.advice or "")
        print_table(table)
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(Exit.FAILED)
