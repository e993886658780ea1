"""`refold scrub`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.console import Json, Verbose, err, out, print_json
from flows.cli.exits import Exit
from flows.cli.running import run_flow


def scrub(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    sample: Annotated[
        float, typer.Option(help="Fraction of the renditions to restore as well.")
    ] = 0.01,
    parts: Annotated[
        int,
        typer.Option(
            help="Split the archive into this many parts, and read the next one at each run."
        ),
    ] = 1,
    repair: Annotated[
        str | None, typer.Option(help="Collection from which to make damaged renditions again.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Read the LR objects of ARCHIVE again and compare them with its catalog."""
    from tasks.jobs.scrub.check import Request, check

    check(Request(archive=archive, sample=sample, parts=parts, repair_from=repair))
    from flows.scrub import scrub as flow

    result = run_flow(
        "scrub", flow, archive=archive, sample=sample, parts=parts, repair_from=repair
    )
    if json:
        print_json(asdict(result) | {"damaged": result.damaged})
    else:
        out.print(
            f"{result.checked} checked, {result.restored} of them restored, "
            f"{len(result.findings)} found damaged, {result.repaired} repaired"
            + (f", {len(result.cold)} in a cold class and not read" if result.cold else "")
        )
    for finding in result.findings:
        err.print(f"{finding.lr_key}: {finding.reason}", style="red")
    for failure in result.not_repaired:
        err.print(f"not repaired: {failure.lr_key}: {failure.reason}", style="red")
    for finding in result.cold:
        err.print(f"{finding.lr_key}: {finding.reason}", style="yellow")
    if result.damaged:
        raise typer.Exit(Exit.FAILED)
    if result.cold:
        raise typer.Exit(Exit.COLD)
