"""`refold restore`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.console import Json, Verbose, err, out, print_json, progress_bar
from flows.cli.exits import Exit
from flows.cli.running import run_flow
from rescaling_core.errors import UsageError

if TYPE_CHECKING:
    from tasks.jobs.restore.check import Request
    from tasks.jobs.restore.requests import NotRestored, Restored
    from tasks.jobs.restore.tally import RestoreTally


def restore(
    archive: Annotated[str, typer.Argument(help="URL or path of an archive, or of one LR file.")],
    dest: Annotated[str, typer.Argument(help="URL or path of the folder to restore into.")],
    keys: Annotated[
        list[str] | None, typer.Argument(help="Source keys or globs to restore.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="Restore rows that meet this SQL condition on the catalog's columns."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Restore all sources.")] = False,
    target: Annotated[
        str | None,
        typer.Option(help="Restore from this target. The default is the best one stored."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace other files that are already there.")
    ] = False,
    format: Annotated[
        str,
        typer.Option(
            help="Write png, tiff, webp or jxl, all lossless, or the format that a source had."
        ),
    ] = "png",
    models: Annotated[
        str | None,
        typer.Option(help="For one LR file: its archive, or a folder of <sha256>.safetensors."),
    ] = None,
    earlier: Annotated[
        bool,
        typer.Option(
            "--earlier",
            help="Where the last version of a source has no rendition, restore an earlier version.",
        ),
    ] = False,
    thaw: Annotated[
        bool,
        typer.Option("--thaw", help="Ask the store for what lies in a cold class, for some days."),
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Restore HR images from an archive, or from a single LR file away from any archive."""
    from tasks.storage.addresses import local_path

    file = local_path(archive)
    if file is not None and file.is_file():
        if keys or where or everything or target or earlier or thaw:
            raise UsageError(f"{archive} is one LR file: give only it and the destination")
        record = _restore_file(str(file), dest, overwrite, models, format)
    elif models is not None:
        raise UsageError("--models is for one LR file: an archive holds its networks itself")
    else:
        record = _restore_archive(
            archive, dest, keys, where, everything, target, overwrite, earlier, format, thaw
        )
    if json:
        print_json(record)
    else:
        for output in record["outputs"]:
            out.print(output["path"])
            if output["extras"] is not None:
                out.print(output["extras"])
        cold = f", {len(record['cold'])} in a cold class" if record["cold"] else ""
        out.print(f"{record['restored']} restored, {record['failed']} failed{cold}")
    for failure in record["failures"]:
        err.print(f"{failure['source_key']}: {failure['reason']}", style="red")
    for one in record["cold"]:
        err.print(f"{one['source_key']}: {one['thaw']}: {one['reason']}", style="yellow")
    if record["failed"]:
        raise typer.Exit(Exit.FAILED)
    if record["cold"]:
        raise typer.Exit(Exit.COLD)


def _restore_file(
    path: str, dest: str, overwrite: bool, models: str | None, format: str
) -> dict[str, Any]:
    """No catalog, no cluster: the file is enough."""
    from tasks.jobs.restore.check import restored_format
    from tasks.jobs.restore.worker import restore_lr_file

    restored = restore_lr_file(
        path, dest, overwrite=overwrite, models_url=models, format=restored_format(format)
    )
    return _record([restored], [], dest)


def _restore_archive(
    archive: str,
    dest: str,
    keys: list[str] | None,
    where: str | None,
    everything: bool,
    target: str | None,
    overwrite: bool,
    earlier: bool,
    format: str,
    thaw: bool,
) -> dict[str, Any]:
    if not (keys or where or everything):
        raise UsageError("name keys, a condition with --where, or --all")
    from tasks.jobs.restore.check import Request, check

    request = Request(
        archive=archive,
        dest=dest,
        keys=tuple(keys or ()),
        where=where,
        target=target,
        format=format,
    )
    check(request)
    few = _restore_few(request, overwrite, earlier, thaw)
    if few is not None:
        return _record(few.restored, few.refused, dest)
    from flows.restore import restore as flow

    result = run_flow(
        "restore",
        flow,
        archive=archive,
        dest=dest,
        keys=tuple(keys or ()),
        where=where,
        target=target,
        overwrite=overwrite,
        earlier=earlier,
        format=format,
        thaw=thaw,
    )
    return _record(result.outputs, result.failures, dest)


def _restore_few(
    request: Request, overwrite: bool, earlier: bool, thaw: bool
) -> RestoreTally | None:
    """Restore without Prefect and Ray what is too little for them; None: the flow is to do it."""
    from tasks.jobs.restore.few import find_few, restore_few
    from tasks.storage import StorageError

    try:
        few = find_few(request, earlier=earlier)
        if few is None:
            return None
        with progress_bar("restore", passing=not few.chosen):
            return restore_few(few, overwrite=overwrite, thaw=thaw)
    except StorageError:  # the flow tries again, with patience
        return None


def _record(
    outputs: Sequence[Restored], failures: Sequence[NotRestored], dest: str
) -> dict[str, Any]:
    folder = dest.rstrip("/")
    refused = sorted(failures, key=lambda one: one.source_key)
    failed = [one for one in refused if one.thaw is None]
    return {
        "restored": len(outputs),
        "failed": len(failed),
        "outputs": [
            {
                "source_key": output.source_key,
                "path": f"{folder}/{output.output_key}",
                "psnr_y": output.psnr_y,
                "bytes": output.nbytes,
                "extras": output.extras_key and f"{folder}/{output.extras_key}",
            }
            for output in sorted(outputs, key=lambda one: one.source_key)
        ],
        "failures": [{"source_key": one.source_key, "reason": one.reason} for one in failed],
        "cold": [asdict(one) for one in refused if one.thaw is not None],
    }
