"""`refold backfill`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.console import EXIT_FAILED, Json, Verbose, err, out, print_json, progress_bar


def backfill(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    target: Annotated[list[str], typer.Option(help="x4, long-edge=256; several may be given.")],
    source: Annotated[
        str | None, typer.Option(help="The collection; by default that of the last run.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make targets that what is archived lacks, from sources or from restored images."""
    from tasks.catalog import open_catalog
    from tasks.plans.options import PlanOptions, build_plan
    from tasks.storage import open_store

    options = PlanOptions(targets=tuple(target))
    # The flow checks these as well; here they answer before Prefect and Ray are up.
    build_plan(options)
    open_catalog(open_store(archive), create=False)
    if source is not None:
        open_store(source).require_root()
    from flows.backfill import backfill as flow

    with progress_bar("backfill"):
        result = flow(archive=archive, options=options, source=source)
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
        raise typer.Exit(EXIT_FAILED)
