"""`refold maintain`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.console import Json, Verbose, err, out, print_json
from flows.cli.running import run_flow
from tasks.pages.words import size_text


def maintain(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    grace: Annotated[str, typer.Option(help="Keep what is younger than this: 36h, 7d, 2w.")] = "7d",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    repack: Annotated[
        bool,
        typer.Option(help="Write packs again of which little is needed, and join small ones."),
    ] = True,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Remove LR objects no row names, write packs again, and compact the catalog of ARCHIVE."""
    from tasks.jobs.maintain.check import Request, check

    check(Request(archive=archive, grace=grace))
    from flows.maintain import maintain as flow

    result = run_flow(
        "maintain", flow, archive=archive, grace=grace, dry_run=dry_run, repack=repack
    )
    if json:
        print_json(asdict(result) | {"dry_run": dry_run})
        return
    verb = "removed" if result.deleted else "would be removed"
    out.print(
        f"{result.removed_objects} LR objects ({size_text(result.removed_bytes)}), "
        f"{result.unfinished} half files of killed writers and "
        f"{result.tables.files_removed} files of the catalog {verb}; the tables are made of "
        f"{result.tables.files_after} files, before of {result.tables.files_before}"
    )
    if result.rewritten_packs:
        verb = "were put" if result.deleted else "would be put"
        out.print(
            f"the files of {result.rewritten_packs} packs ({size_text(result.moved_bytes)}) {verb} "
            f"into {result.written_packs}, which frees {size_text(result.freed_bytes)} once the "
            "grace period is over"
        )
    if result.packs_left:
        out.print(f"{result.packs_left} more packs are left to later runs: enough was moved")
    for one in result.damaged:
        err.print(f"refold: {one.lr_key} stays where it is: {one.reason}")
    if result.damaged:
        err.print("refold: `refold scrub --repair` makes damaged LR files again")
    if result.retained:
        verb = "would be renewed" if dry_run else "was renewed"
        out.print(f"the retention of {result.retained} objects in use {verb}")
    if result.unretained:
        err.print(
            f"refold: the retention of {result.unretained} objects in use could not be renewed"
        )
    if result.locked:
        out.print(f"{result.locked} LR objects that no row names stay: they are locked")
    if not result.deleted and not dry_run:
        err.print(f"refold: nothing was removed: these credentials may not delete in {archive}")
