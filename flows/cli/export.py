"""`refold export`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.console import Json, Verbose, err, out, print_json, progress_bar
from flows.cli.exits import Exit
from rescaling_core.errors import UsageError
from tasks.pages.words import size_text


def export(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    dest: Annotated[str, typer.Argument(help="URL or path of an empty folder to write to.")],
    keys: Annotated[
        list[str] | None, typer.Argument(help="Source keys or globs; all by default.")
    ] = None,
    webdataset: Annotated[
        bool, typer.Option("--webdataset", help="Write tar shards as WebDataset reads them.")
    ] = False,
    folder: Annotated[
        bool, typer.Option("--folder", help="Write files under their source keys.")
    ] = False,
    hf: Annotated[
        bool,
        typer.Option("--hf", help="As --folder, with a metadata.jsonl for Hugging Face datasets."),
    ] = False,
    hr: Annotated[
        bool, typer.Option("--hr", help="Restored images. The default is the stored LR files.")
    ] = False,
    where: Annotated[
        str | None, typer.Option(help="Only rows that meet this SQL condition on the columns.")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Only renditions of this target. The default is the best one stored."),
    ] = None,
    shard_mb: Annotated[int, typer.Option(help="Megabytes of a tar shard, at most.")] = 128,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write the images of ARCHIVE elsewhere: as tar shards, or as files."""
    from tasks.jobs.export.check import Layout, Request, check

    layouts: dict[Layout, bool] = {"webdataset": webdataset, "folder": folder, "hf": hf}
    asked = [name for name, wanted in layouts.items() if wanted]
    if len(asked) != 1:
        raise UsageError("choose one of --webdataset, --folder and --hf")
    request = Request(
        archive=archive,
        dest=dest,
        layout=asked[0],
        size="hr" if hr else "lr",
        keys=tuple(keys or ()),
        where=where,
        target=target,
        shard_mb=shard_mb,
    )
    check(request)
    from tasks.jobs.export.work import export as write

    with progress_bar("export"):
        done = write(request)
    if json:
        print_json(asdict(done))
    else:
        before = f", {done.there_before} there before" if done.there_before else ""
        shards = f" in {done.shards} shards" if webdataset else ""
        out.print(
            f"{done.exported} exported{before}{shards} ({size_text(done.nbytes)}), "
            f"{len(done.failures)} failed"
        )
    for key, reason in done.failures.items():
        err.print(f"{key}: {reason}", style="red")
    if done.failures:
        raise typer.Exit(Exit.FAILED)
