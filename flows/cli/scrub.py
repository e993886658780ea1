"""`refold scrub`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.console import EXIT_FAILED, Json, Verbose, err, out, print_json, progress_bar


def scrub(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    sample: Annotated[
        float, typer.Option(help="Fraction of the renditions that are restored as well.")
    ] = 0.01,
    parts: Annotated[
        int, typer.Option(help="Read one of so many parts, the next one at every run.")
    ] = 1,
    repair: Annotated[
        str | None, typer.Option(help="Collection to make damaged renditions again from.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Read the LR objects of ARCHIVE again and hold them against its catalog."""
    from tasks.catalog import open_catalog
    from tasks.jobs.scrub.steps import Scope
    from tasks.storage import open_store

    # The flow checks these as well; here they answer before Prefect and Ray are up.
    Scope(sample=sample, parts=parts)
    open_catalog(open_store(archive), create=False)
    if repair is not None:
        open_store(repair).require_root()
    from flows.scrub import scrub as flow

    with progress_bar("scrub"):
        result = flow(archive=archive, sample=sample, parts=parts, repair_from=repair)
    if json:
        print_json(asdict(result) | {"damaged": result.damaged})
    else:
        out.print(
            f"{result.checked} checked, {result.restored} of them restored, "
            f"{len(result.findings)} found damaged, {result.repaired} repaired"
        )
    for finding in result.findings:
        err.print(f"{finding.lr_key}: {finding.reason}", style="red")
    for failure in result.not_repaired:
        err.print(f"not repaired: {failure.lr_key}: {failure.reason}", style="red")
    if result.damaged:
        raise typer.Exit(EXIT_FAILED)
