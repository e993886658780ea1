"""A queue of training runs: what to train, in order, and how far each is."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import torch
from pydantic import TypeAdapter

from rescaling_core import zoo
from rescaling_core.errors import UsageError
from rescaling_core.model_ids import name_of
from rescaling_core.training.restorer_recipe import RestorerRecipe
from rescaling_core.zoo import restorers
from tasks.jobs.train.data import load_any_recipe, parse_toml
from tasks.jobs.train.folder import steps_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.zoo import ModelCard
    from rescaling_core.zoo.restorer_card import RestorerCard
    from tasks.jobs.train.data import AnyRecipe
    from tasks.jobs.train.run import TrainingResult

_STRICT: Final = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRun:
    """One run of a queue. What it leaves out is the queue's."""

    __pydantic_config__: ClassVar = _STRICT

    recipe: str
    """A TOML file, or the id of a recipe that ships with Refold."""
    data: str | None = None
    """URL or path of a folder of images."""
    validation: str | None = None
    """A folder to measure on; by default every 20th image of `data` is held out."""
    steps: int | None = None
    """Instead of the recipe's."""
    start: str | None = None
    """Weights to start from, instead of the recipe's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Runs to be worked off in order, and how."""

    __pydantic_config__: ClassVar = _STRICT

    runs: tuple[QueuedRun, ...]
    data: str | None = None
    """URL or path of the folder of images of runs that name none."""
    validation: str | None = None
    """Likewise, to measure on."""
    out: str = "runs"
    """Folder of the runs' own folders, which are named after their recipes."""
    pairs: str | None = None
    """Folder of coded pictures, which restorers share; by default `<out>/pairs`."""
    niceness: int = 19
    """Added to that of the command: 19 leaves the processor to whoever else wants it."""
    threads: int = 1
    """CPU threads of the training itself."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise UsageError("queue: runs: at least one")
        if not 0 <= self.niceness <= 19:
            raise UsageError(f"queue: niceness = {self.niceness}: 0 to 19")
        if self.threads < 1:
            raise UsageError(f"queue: threads = {self.threads}: at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A run that is ready to be started or continued."""

    recipe: AnyRecipe
    data: str
    validation: str | None
    folder: Path
    pairs: str
    """Folder of coded pictures, of a restorer."""
    start: str | None
    """Weights to start from, if there is no checkpoint."""
    first_step: int
    """How many of the recipe's steps these weights have had."""

    @property
    def done(self) -> bool:
        """Whether no step is left."""
        return max(self.first_step, steps_in(self.folder)) >= self.recipe.optimisation.steps


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOutcome:
    """What became of one run."""

    recipe: str
    state: Literal["trained", "done before", "failed"]
    reason: str | None = None
    """Why it failed."""
    result: TrainingResult | None = None


def read_queue(path: str) -> Queue:
    """Read a queue from a TOML file.

    Raises:
        UsageError: It cannot be read or is not a queue; the message names the first field at fault.
    """
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise UsageError(f"queue {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"queue {path}: not TOML: {error}") from error
    return parse_toml(text, _QUEUE.validate_python, name=f"queue {path}", what="queue")


def due(queue: Queue, run: QueuedRun) -> Due:
    """What is to be done for a run, from what its folder and the package hold.

    Where the folder holds no checkpoint, weights that ship and were trained by the same recipe are
    continued: so a queue goes on upon another machine from the committed weights alone. Their
    optimiser is not kept, it begins with empty averages.

    Raises:
        UsageError: There is no such recipe, or no data is named.
    """
    recipe = load_any_recipe(run.recipe)
    if run.steps is not None:
        recipe = replace(recipe, optimisation=replace(recipe.optimisation, steps=run.steps))
    data = run.data or queue.data
    if data is None:
        raise UsageError(f"queue: {run.recipe}: data: a folder of images to train on is needed")
    start, first_step = run.start, 0
    if start is None and (shipped := _shipped(recipe)) is not None:
        start, first_step = shipped
    return Due(
        recipe=recipe,
        data=data,
        validation=run.validation or queue.validation,
        folder=Path(queue.out) / recipe.id,
        pairs=queue.pairs or f"{queue.out}/pairs",
        start=start,
        first_step=first_step,
    )


def make_way(queue: Queue) -> None:
    """Leave the processor of this process to others, as far as the queue says."""
    os.nice(queue.niceness)
    torch.set_num_threads(queue.threads)


def _shipped(recipe: AnyRecipe) -> tuple[str, int] | None:
    """The newest weights that ship of a recipe's id and network, and the steps they have had."""
    is_restorer = isinstance(recipe, RestorerRecipe)
    cards: Sequence[ModelCard | RestorerCard] = (
        restorers.list_restorers() if is_restorer else zoo.list_models()
    )
    for card in reversed(cards):
        steps = card.training.get("iterations")
        if name_of(card.id) == recipe.id == card.training.get("recipe") and isinstance(steps, int):
            return card.id, steps
    return None


_QUEUE: Final = TypeAdapter(Queue)
