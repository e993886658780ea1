"""The training job: a recipe and a folder of images become weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from rescaling_core.pixels.arrays import U8Array
from rescaling_core.training.recipe import Recipe
from tasks.jobs.train.data import read_training_set
from tasks.jobs.train.run import TrainingResult, check_request, train_here


@flow(name="train", log_prints=False, validate_parameters=True)
def train(
    config: str,
    data: str,
    out: str,
    validation: str | None = None,
    start: str | None = None,
    steps: int | None = None,
    workers: int = 1,
    resume: bool = False,
) -> TrainingResult:
    """Train a rescaler.

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

    Raises:
        UsageError: A wrong recipe, folder or start, or a batch that workers cannot share.
    """
    recipe = check_request(config, data, out, validation=validation, start=start, resume=resume)
    if start is not None:
        recipe = replace(recipe, start=start)
    if steps is not None:
        recipe = replace(recipe, optimisation=replace(recipe.optimisation, steps=steps))
    if workers > 1:
        return run_on_workers(recipe, data, validation, Path(out), workers=workers, resume=resume)
    images, held_out = read_training_images(data, validation)
    get_run_logger().info("recipe=%s images=%d held_out=%d", recipe.id, len(images), len(held_out))
    return run_recipe(recipe, images, held_out, Path(out), resume=resume)


@task(name="read training images", cache_policy=NO_CACHE)
def read_training_images(data: str, validation: str | None) -> tuple[list[U8Array], list[U8Array]]:
    """Decode all images: those to train on, and windows to measure on."""
    return read_training_set(data, validation)


@task(name="train", cache_policy=NO_CACHE)
def run_recipe(
    recipe: Recipe,
    images: list[U8Array],
    held_out: list[U8Array],
    out: Path,
    *,
    resume: bool,
) -> TrainingResult:
    """Train in this process."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    result = train_here(recipe, images, held_out, out, resume=resume, device=device)
    assert result is not None
    return result


@task(name="train on workers", cache_policy=NO_CACHE)
def run_on_workers(
    recipe: Recipe, data: str, validation: str | None, out: Path, *, workers: int, resume: bool
) -> TrainingResult:
    """Train in several processes through Ray Train."""
    from tasks.jobs.train.team import train_on_workers

    return train_on_workers(recipe, data, validation, out, workers=workers, resume=resume)
