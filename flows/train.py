"""The training job: a recipe and a folder of images become weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from rescaling_core.arrays import U8Array
from rescaling_core.errors import UsageError
from rescaling_core.training.recipe import Recipe
from rescaling_core.training.trainer import Trainer
from tasks.training import (
    RunFolder,
    check_request,
    first_rescaler,
    plot_run,
    run_training,
    write_weights,
)
from tasks.training_data import hold_out, list_images, read_images, validation_crops


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What a run came to."""

    rescaler: str
    steps: int
    seconds: float
    """Of training, earlier parts of a resumed run included."""
    psnr_y: float
    """dB, over the validation images, by the papers' protocol."""
    weights: str
    """Path of the weights file; its card lies beside it."""


@flow(name="train", log_prints=False, validate_parameters=True)
def train(
    config: str,
    data: str,
    out: str,
    validation: str | None = None,
    start: str | None = None,
    steps: int | None = None,
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
        resume: Continue what `out` holds, if anything.

    Raises:
        UsageError: A wrong recipe, folder or start.
    """
    recipe = check_request(config, data, out, validation=validation, start=start, resume=resume)
    if start is not None:
        recipe = replace(recipe, start=start)
    if steps is not None:
        recipe = replace(recipe, optimisation=replace(recipe.optimisation, steps=steps))
    images, held_out = read_training_images(data, validation)
    get_run_logger().info("recipe=%s images=%d held_out=%d", recipe.id, len(images), len(held_out))
    return run_recipe(recipe, images, held_out, Path(out), resume=resume)


@task(name="read training images", cache_policy=NO_CACHE)
def read_training_images(data: str, validation: str | None) -> tuple[list[U8Array], list[U8Array]]:
    """Decode all images: those to train on, and windows to measure on."""
    paths = list_images(data)
    if validation is None:
        paths, held_out = hold_out(paths)
        return read_images(data, paths), validation_crops(read_images(data, held_out))
    return read_images(data, paths), validation_crops(
        read_images(validation, list_images(validation))
    )


@task(name="train", cache_policy=NO_CACHE)
def run_recipe(
    recipe: Recipe,
    images: list[U8Array],
    held_out: list[U8Array],
    out: Path,
    *,
    resume: bool,
) -> TrainingResult:
    """Train to the end and write weights, card and curve into `out`."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = RunFolder(out)
    on_gpu = device == "cuda"
    rescaler = first_rescaler(recipe)
    trainer = Trainer(recipe, rescaler, images, device=device, accelerated=on_gpu)
    seconds = run_training(trainer, folder, held_out, resume=resume)
    records = folder.records()
    if not records:
        raise UsageError(f"{out}: nothing was trained; the recipe has no step left")
    plot_run(out / "curve.png", records)
    quality = next(r["validation"] for r in reversed(records) if "validation" in r)
    path = out / f"{recipe.id}.safetensors"
    facts = {
        "data": recipe.data or f"{len(images)} images",
        "hardware": device,
        "minutes": round(seconds / 60, 1),
        "iterations": trainer.done,
    }
    write_weights(path, recipe, trainer.averaged(), facts)
    return TrainingResult(
        rescaler=recipe.id,
        steps=trainer.done,
        seconds=round(seconds, 1),
        psnr_y=round(quality["psnr_y"], 3),
        weights=str(path),
    )
