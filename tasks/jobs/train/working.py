"""Training in this process: a recipe of either kind, or one run of a queue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rescaling_core.errors import RefoldError
from rescaling_core.training.restorer_recipe import RestorerRecipe
from tasks.jobs.train.data import read_training_set
from tasks.jobs.train.pause import Pause
from tasks.jobs.train.queue import Due, QueueOutcome
from tasks.jobs.train.restorers import train_restorer_here
from tasks.jobs.train.run import TrainingResult, train_here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.pixels.arrays import U8Array
    from tasks.jobs.train.data import AnyRecipe


def work_off(run: Due, pause: Pause) -> QueueOutcome:
    """Train a run to its end, or pass over it where no step is left.

    What goes wrong is this run's outcome, so that the next one can begin.
    """
    if run.done:
        return QueueOutcome(recipe=run.recipe.id, state="done before")
    try:
        result = _trained(run, pause)
    except (RefoldError, OSError) as error:
        return QueueOutcome(recipe=run.recipe.id, state="failed", reason=str(error))
    return QueueOutcome(recipe=run.recipe.id, state="trained", result=result)


def _trained(run: Due, pause: Pause) -> TrainingResult:
    images, held_out = read_training_set(run.data, run.validation)
    return train_alone(
        run.recipe if run.start is None else replace(run.recipe, start=run.start),
        images, held_out, run.folder,
        resume=True, pairs=Path(run.pairs), pause=pause, first_step=run.first_step,
    )  # fmt: skip


def train_alone(
    recipe: AnyRecipe,
    images: Sequence[U8Array],
    held_out: Sequence[U8Array],
    out: Path,
    *,
    resume: bool,
    pairs: Path | None,
    pause: Pause,
    first_step: int = 0,
) -> TrainingResult:
    """Train a recipe of either kind in this process, on its GPU if it has one.

    See `train_here` and `train_restorer_here`; `pairs` is for a restorer alone.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if isinstance(recipe, RestorerRecipe):
        return train_restorer_here(
            recipe, images, held_out, out, resume=resume, device=device, pairs=pairs, pause=pause,
            first_step=first_step,
        )  # fmt: skip
    result = train_here(
        recipe, images, held_out, out, resume=resume, device=device, pause=pause,
        first_step=first_step,
    )  # fmt: skip
    assert result is not None  # only others of a team have none
    return result
