"""A training run on disk: checkpoints, metrics, a curve, and the weights at the end."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rescaling_core import zoo
from rescaling_core.errors import UsageError
from rescaling_core.training.restorer_recipe import RestorerRecipe
from rescaling_core.training.trainer import ALONE, Team, Trainer, new_rescaler
from rescaling_core.training.validation import Quality, measure_set
from rescaling_core.zoo import restorers
from tasks.collection.images import list_images
from tasks.control import progress
from tasks.control.progress import Progress
from tasks.jobs.train.best import best_of, keep_best
from tasks.jobs.train.data import load_any_recipe
from tasks.jobs.train.folder import CHECKPOINT, Resumable, RunFolder, plot_run, write_weights
from tasks.jobs.train.pause import NEVER, Pause

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rescaling_core.networks import Rescaler
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.training.recipe import Cadence, Recipe
    from rescaling_core.training.trainer import StepReport
    from tasks.jobs.train.data import AnyRecipe

Measured = TypeVar("Measured")
"""What validation gives: a dataclass with a field `psnr_y`."""


class Steps(Resumable, Protocol):
    """A trainer of either kind, as far as its steps are concerned."""

    def step(self) -> StepReport:
        """Do one step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What a run came to."""

    rescaler: str
    steps: int
    seconds: float
    """Seconds of training, earlier parts of a resumed run included."""
    psnr_y: float
    """Of the best weights: PSNR-Y in dB over the validation images, by the papers' protocol."""
    weights: str
    """Path of the best weights of the run; their card lies beside them."""


def check_request(
    config: str,
    data: str,
    out: str,
    *,
    validation: str | None,
    start: str | None,
    resume: bool,
) -> AnyRecipe:
    """Refuse a run that cannot work, before anything is started.

    Returns:
        The recipe at `config`.

    Raises:
        UsageError: A wrong recipe, folder or start, or `out` holds a run and `resume` is off.
    """
    recipe = load_any_recipe(config)
    for url in (data, validation):
        if url is not None:
            list_images(url)
    if (start := start or recipe.start) is not None:
        (restorers if isinstance(recipe, RestorerRecipe) else zoo).load(start)
    if not resume and (Path(out) / CHECKPOINT).exists():
        raise UsageError(f"{out}: holds a run already; --resume continues it")
    return recipe


def first_rescaler(recipe: Recipe) -> Rescaler:
    """What a run starts from: random weights, or those of the recipe's `start`.

    A start of another shape gives what fits by name and shape: the first stage of an x4 network
    starts from an x2 one.

    Raises:
        UsageError: There is no such start, or nothing of it fits.
    """
    rescaler = new_rescaler(recipe)
    if recipe.start is None:
        return rescaler
    own = rescaler.state_dict()
    other = zoo.load(recipe.start).rescaler.state_dict()
    fitting = {k: v for k, v in other.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise UsageError(f"recipe {recipe.id}: nothing of {recipe.start} fits this network")
    rescaler.load_state_dict({**own, **fitting})
    return rescaler


def run_training(
    trainer: Trainer,
    folder: RunFolder,
    validation: Sequence[U8Array],
    *,
    resume: bool,
    writes: bool = True,
    pause: Pause = NEVER,
    listener: Callable[[StepReport, Quality | None], None] = lambda _report, _quality: None,
) -> float:
    """Train a rescaler to the last step of its recipe.

    Args:
        trainer: Freshly made.
        folder: Where to keep state; holds no run unless `resume`.
        validation: (H, W, 3) RGB images, never trained on.
        resume: Continue what the folder holds, if anything.
        writes: Measure, record and save; off for all but one trainer of a team.
        pause: Waited for before each step.
        listener: Called after every step, with the quality where it was measured.

    Returns:
        Seconds of training, earlier parts included.

    Raises:
        UsageError: The folder holds a run and `resume` is off.
        CheckpointError: What it holds cannot be continued.
    """
    recipe = trainer.recipe
    return run_steps(
        trainer,
        folder,
        lambda: measure_set(trainer.averaged(), validation, recipe.scales[-1]),
        recipe.optimisation.steps,
        recipe.cadence,
        resume=resume,
        writes=writes,
        pause=pause,
        listener=listener,
    )


def run_steps(
    trainer: Steps,
    folder: RunFolder,
    measure: Callable[[], Measured],
    last: int,
    cadence: Cadence,
    *,
    resume: bool,
    writes: bool = True,
    pause: Pause = NEVER,
    listener: Callable[[StepReport, Measured | None], None] = lambda _report, _quality: None,
) -> float:
    """Train to the last step.

    Args:
        trainer: Freshly made.
        folder: Where to keep state; holds no run unless `resume`.
        measure: Gives the quality of the weights so far, as a dataclass.
        last: The number of steps.
        cadence: How often to measure and to save.
        resume: Continue what the folder holds, if anything.
        writes: Measure, record and save; off for all but one trainer of a team.
        pause: Waited for before each step.
        listener: Called after every step, with the quality where it was measured.

    Returns:
        Seconds of training, earlier parts included, pauses not.

    Raises:
        UsageError: The folder holds a run and `resume` is off.
        CheckpointError: What it holds cannot be continued.
    """
    before = 0.0
    if folder.started:
        if not resume:
            raise UsageError(f"{folder.path}: holds a run already; --resume continues it")
        before = folder.resume(trainer)
    started = time.monotonic()
    while trainer.done < last:
        started += pause.wait()
        report = trainer.step()
        if not writes:
            continue
        quality = None
        if trainer.done % cadence.validation == 0 or trainer.done == last:
            quality = measure()
        seconds = before + time.monotonic() - started
        validated: dict[str, Any] = {}
        if quality is not None:
            validated["validation"] = asdict(quality)  # type: ignore[call-overload]
        folder.record(**asdict(report), seconds=round(seconds, 1), **validated)
        progress.report(Progress(step="train", done=trainer.done, total=last))
        # Before the checkpoint: a run that is killed between the two does both again.
        listener(report, quality)
        if trainer.done % cadence.checkpoint == 0 or trainer.done == last:
            folder.save(trainer, seconds)
    return before + time.monotonic() - started


def train_here(
    recipe: Recipe,
    images: Sequence[U8Array],
    held_out: Sequence[U8Array],
    out: Path,
    *,
    resume: bool,
    device: str,
    team: Team = ALONE,
    pause: Pause = NEVER,
    first_step: int = 0,
) -> TrainingResult | None:
    """Train to the end in this process; keep the best weights so far, card and curve in `out`.

    Args:
        recipe: What to do.
        images: (H, W, 3) RGB each, to train on.
        held_out: To measure on.
        out: Folder of the run.
        resume: Continue what it holds, if anything.
        device: As torch names it.
        team: Those that train together.
        pause: Waited for before each step.
        first_step: How many of the recipe's steps its `start` has had.

    Returns:
        What it came to; None if another trainer of the team reports.

    Raises:
        UsageError: The folder holds a run and `resume` is off, or no step is left.
        CheckpointError: What it holds cannot be continued.
    """
    folder = RunFolder(out)
    rescaler = first_rescaler(recipe)
    on_gpu = device != "cpu"
    trainer = Trainer(
        recipe,
        rescaler,
        images,
        device=device,
        accelerated=on_gpu,
        team=team,
        first_step=first_step,
    )
    first = team.rank == 0
    path = out / f"{recipe.id}.safetensors"
    facts = {
        "data": recipe.data or f"{len(images)} images",
        "hardware": device if team.size == 1 else f"{team.size} x {device}",
    }

    def write(training: dict[str, Any], _quality: Quality) -> None:
        write_weights(path, recipe, trainer.averaged(), training)

    keep = keep_best(folder, "psnr_y", facts, write)
    seconds = run_training(
        trainer, folder, held_out, resume=resume, writes=first, pause=pause, listener=keep
    )
    if not first:
        return None
    records = folder.records()
    if not records:
        raise UsageError(f"{out}: nothing was trained; the recipe has no step left")
    plot_run(out / "curve.png", records)
    best = best_of(records, "psnr_y")
    return TrainingResult(
        rescaler=recipe.id,
        steps=trainer.done,
        seconds=round(seconds, 1),
        psnr_y=-inf if best is None else round(best["psnr_y"], 3),
        weights=str(path),
    )
