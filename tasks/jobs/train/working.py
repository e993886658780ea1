"""Working off one run of a training queue in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from rescaling_core.errors import RefoldError
from rescaling_core.training.restorer_recipe import RestorerRecipe
from tasks.jobs.train.data import read_training_set
from tasks.jobs.train.pause import Pause
from tasks.jobs.train.queue import Due, QueueOutcome
from tasks.jobs.train.restorers import train_restorer_here
from tasks.jobs.train.run import TrainingResult, train_here


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
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, held_out = read_training_set(run.data, run.validation)
    recipe = run.recipe if run.start is None else replace(run.recipe, start=run.start)
    if isinstance(recipe, RestorerRecipe):
        return train_restorer_here(
            recipe, images, held_out, run.folder, resume=True, device=device,
            pairs=Path(run.pairs), pause=pause, first_step=run.first_step,
        )  # fmt: skip
    result = train_here(
        recipe, images, held_out, run.folder, resume=True, device=device, pause=pause,
        first_step=run.first_step,
    )  # fmt: skip
    assert result is not None  # trained alone, not in a team
    return result
