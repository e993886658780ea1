"""`refold evaluate`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.console import Json, Verbose, err, out, print_json
from flows.cli.running import run_flow


def evaluate(
    sets_dir: Annotated[
        str, typer.Argument(help="Folder that holds a folder of images for each set.")
    ],
    rescaler: Annotated[
        list[str] | None,
        typer.Option(help="Id or weights file of a rescaler. The default is all of them."),
    ] = None,
    scale: Annotated[
        list[float] | None,
        typer.Option(help="HR side / LR side. The default is the rescaler's own."),
    ] = None,
    codec: Annotated[
        str, typer.Option(help="Codec of the LR images. The papers' JPEG is jpeg-420.")
    ] = "png",
    quality: Annotated[
        list[int] | None, typer.Option(help="Quality of the LR images, on the codec's own scale.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--set", help="Measure only this set.")] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            "--out", help="Write the tables into this folder, as Parquet, Markdown and PNG."
        ),
    ] = None,
    rd: Annotated[
        bool,
        typer.Option(
            "--rd", help="Compare rate-distortion curves with those of full-size codecs instead."
        ),
    ] = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Measure rescalers over benchmark sets as the papers do."""
    from rich.markdown import Markdown

    from tasks.jobs.evaluate.benchmark import EvaluationOptions, resolve
    from tasks.jobs.evaluate.rates import render_rates
    from tasks.jobs.evaluate.tables import render_markdown

    options = EvaluationOptions(
        rescalers=tuple(rescaler or ()),
        scales=tuple(scale or ()),
        codec=codec,
        qualities=tuple(quality or ()),
        sets=tuple(only or ()),
    )
    resolve(sets_dir, options)  # the flow does so too; here it answers before Prefect is up
    from flows import evaluate as flows

    if rd:
        points = run_flow("evaluate", flows.rate_distortion, sets_dir, options, folder)
    else:
        rows = run_flow("evaluate", flows.evaluate, sets_dir, options, folder)
    if json:
        print_json({"rows": [asdict(row) for row in (points if rd else rows)]})
        return
    out.print(Markdown(render_rates(points) if rd else render_markdown(rows)))
    if folder is not None:
        err.print(f"tables written to {folder}")
