"""`refold train`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from flows.cli.console import Json, Verbose, out, print_json
from flows.cli.exits import Exit
from flows.cli.running import run_flow
from rescaling_core.errors import UsageError


def train(
    config: Annotated[
        str | None, typer.Option(help="A recipe: a TOML file, or the id of a bundled one.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="URL or path of a folder of images.")] = None,
    run_folder: Annotated[
        str | None, typer.Option("--out", help="Folder of the run. The default is runs/<recipe>.")
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            help="Folder of images to measure on. The default is every 20th image of --data."
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Id or weights file of the rescaler to fine-tune.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Number of steps, instead of the recipe's.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Number of processes that train together, through Ray Train.")
    ] = 1,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the run that the folder holds, if there is one."),
    ] = False,
    pause_file: Annotated[
        str | None, typer.Option(help="Wait before the next step while this file exists.")
    ] = None,
    pairs: Annotated[
        str | None,
        typer.Option(help="Folder of coded pictures for training a restorer. Runs can share it."),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(help="A TOML file of many runs, worked off in order; see docs/training.md."),
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train a rescaler or a restorer, or fine-tune one on your own collection."""
    if queue is not None:
        if any((config, data, run_folder, validation, start, steps, resume, pairs)):
            raise UsageError("--queue: the file says the rest; only --pause-file goes with it")
        work_off(queue, pause_file, json=json)
        return
    if config is None:
        raise UsageError("--config: a recipe is needed, or --queue for many")
    if data is None:
        raise UsageError("--data: a folder of images to train on is needed")
    from tasks.jobs.train.run import check_request

    folder = run_folder or f"runs/{config.rpartition('/')[2].removesuffix('.toml')}"
    # The flow checks these as well; here they answer before Prefect is up.
    check_request(config, data, folder, validation=validation, start=start, resume=resume)
    from flows.train import train as flow

    result = run_flow(
        "train",
        flow,
        config=config,
        data=data,
        out=folder,
        validation=validation,
        start=start,
        steps=steps,
        workers=workers,
        resume=resume,
        pause_file=pause_file,
        pairs=pairs,
    )
    if json:
        print_json(asdict(result))
        return
    out.print(
        f"{result.rescaler}: {result.steps} steps in {result.seconds:.0f} s, "
        f"PSNR-Y {result.psnr_y:.2f} dB on held-out images\nweights: {result.weights}"
    )


def work_off(queue: str, pause_file: str | None, *, json: bool) -> None:
    """Run a queue, and say of each run what became of it."""
    from flows.train import train_queue
    from tasks.jobs.train.queue import due, read_queue

    wanted = read_queue(queue)
    for run in wanted.runs:
        due(wanted, run)
    outcomes = run_flow("train queue", train_queue, queue=queue, pause_file=pause_file)
    if json:
        print_json([asdict(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            best = f", PSNR-Y {outcome.result.psnr_y:.2f} dB" if outcome.result else ""
            reason = f": {outcome.reason}" if outcome.reason else ""
            out.print(f"{outcome.recipe}: {outcome.state}{best}{reason}")
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(Exit.FAILED)
