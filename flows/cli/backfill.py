"""`refold backfill`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.console import Json, Verbose, err, out, print_json
from flows.cli.exits import Exit
from flows.cli.running import run_flow


def backfill(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    target: Annotated[
        list[str], typer.Option(help="Such as x4 or long-edge=256. May be given several times.")
    ],
    source: Annotated[
        str | None, typer.Option(help="The collection. The default is that of the last run.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Create missing targets for archived sources, from sources or from restored images."""
    from tasks.jobs.backfill.check import Request, check
    from tasks.plans.options import PlanOptions

    options = PlanOptions(targets=tuple(target))
    check(Request(archive=archive, options=options, source=source))
    from flows.backfill import backfill as flow

    result = run_flow("backfill", flow, archive=archive, options=options, source=source)
    if json:
        print_json(asdict(result))
    else:
        out.print(
            f"{result.sources} sources lacked a target: {result.from_sources} renditions made from "
            f"sources, {result.from_restored} from restored images, {result.kept} kept, "
            f"{len(result.failures)} failed"
        )
    for failure in result.failures:
        err.print(f"{failure.source_key}: {failure.reason}", style="red")
    if result.failures:
        raise typer.Exit(Exit.FAILED)
