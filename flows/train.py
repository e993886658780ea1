"""The training job: a recipe and a folder of images become weights."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from rescaling_core.errors import UsageError
from rescaling_core.pixels.arrays import U8Array
from rescaling_core.training.recipe import Recipe
from rescaling_core.training.restorer_recipe import RestorerRecipe
from tasks.jobs.train.data import AnyRecipe, read_training_set
from tasks.jobs.train.pause import Pause
from tasks.jobs.train.queue import Due, QueueOutcome, due, make_way, read_queue
from tasks.jobs.train.run import TrainingResult, check_request
from tasks.jobs.train.working import train_alone, work_off
from tasks.storage.addresses import Address


@flow(name="train", log_prints=False, validate_parameters=True)
def train(
    config: str,
    data: Address,
    out: str,
    validation: Address | None = None,
    start: str | None = None,
    steps: int | None = None,
    workers: int = 1,
    resume: bool = False,
    pause_file: str | None = None,
    pairs: str | None = None,
) -> TrainingResult:
    """Train a rescaler or a restorer, as the recipe says.

    Args:
        config: A recipe as TOML file, or the id of one that ships with Refold.
        data: URL or path of a folder of images.
        out: Path of the run's folder.
        validation: Folder of images to measure on; by default every 20th of `data` is held out.
        start: Rescaler id or weights file to start from, instead of the recipe's.
        steps: Instead of the recipe's; the learning rate falls to its end over as many.
        workers: Processes that train together, on one node or several; each takes a GPU where
            the cluster has any, and its share of the batch. All of them see `out` and `data`.
        resume: Continue what `out` holds, if anything.
        pause_file: While a file of this name exists, training waits before its next step.
        pairs: Of a restorer: folder of coded pictures, which runs can share; by default in `out`.

    Raises:
        UsageError: A wrong recipe, folder or start, or a team for a restorer.
    """
    recipe = check_request(config, data, out, validation=validation, start=start, resume=resume)
    if start is not None:
        recipe = replace(recipe, start=start)
    if steps is not None:
        recipe = replace(recipe, optimisation=replace(recipe.optimisation, steps=steps))
    if workers > 1:
        if isinstance(recipe, RestorerRecipe):
            raise UsageError(f"recipe {recipe.id}: a restorer is trained in one process")
        return run_on_workers(recipe, data, validation, Path(out), workers=workers, resume=resume)
    images, held_out = read_training_images(data, validation)
    get_run_logger().info("recipe=%s images=%d held_out=%d", recipe.id, len(images), len(held_out))
    pause = Pause(None if pause_file is None else Path(pause_file))
    kept = None if pairs is None else Path(pairs)
    return run_recipe(recipe, images, held_out, Path(out), resume=resume, pairs=kept, pause=pause)


@flow(name="train queue", log_prints=False, validate_parameters=True)
def train_queue(queue: str, pause_file: str | None = None) -> list[QueueOutcome]:
    """Work off a queue of training runs, in order.

    What was interrupted is continued, what is done is passed over. A run that fails is reported,
    and the next begins.

    Args:
        queue: A TOML file, see `tasks.jobs.train.queue.Queue`.
        pause_file: While a file of this name exists, training waits before its next step.

    Raises:
        UsageError: It is not a queue, or one of its runs names no recipe or no data.
    """
    wanted = read_queue(queue)
    runs = [due(wanted, run) for run in wanted.runs]  # all are checked before the first begins
    make_way(wanted)
    pause = Pause(None if pause_file is None else Path(pause_file))
    outcomes = []
    for number, run in enumerate(runs, 1):
        outcome = run_of_queue(run, pause)
        level = logging.WARNING if outcome.state == "failed" else logging.INFO
        reason = f": {outcome.reason}" if outcome.reason else ""
        state = f"{outcome.recipe} {outcome.state}{reason}"
        get_run_logger().log(level, "run %d of %d: %s", number, len(runs), state)
        outcomes.append(outcome)
    return outcomes


@task(name="train one of a queue", cache_policy=NO_CACHE)
def run_of_queue(run: Due, pause: Pause) -> QueueOutcome:
    """Train one run of a queue in this process."""
    return work_off(run, pause)


@task(name="read training images", cache_policy=NO_CACHE)
def read_training_images(data: str, validation: str | None) -> tuple[list[U8Array], list[U8Array]]:
    """Decode all images: those to train on, and windows to measure on."""
    return read_training_set(data, validation)


@task(name="train", cache_policy=NO_CACHE)
def run_recipe(
    recipe: AnyRecipe,
    images: list[U8Array],
    held_out: list[U8Array],
    out: Path,
    *,
    resume: bool,
    pairs: Path | None,
    pause: Pause,
) -> TrainingResult:
    """Train in this process."""
    return train_alone(recipe, images, held_out, out, resume=resume, pairs=pairs, pause=pause)


@task(name="train on workers", cache_policy=NO_CACHE)
def run_on_workers(
    recipe: Recipe, data: str, validation: str | None, out: Path, *, workers: int, resume: bool
) -> TrainingResult:
    """Train in several processes through Ray Train."""
    from tasks.jobs.train.team import train_on_workers

    return train_on_workers(recipe, data, validation, out, workers=workers, resume=resume)
