"""Training in several processes, on one node or many: Ray Train places, connects and restarts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ray

from rescaling_core.errors import RefoldError, UsageError
from rescaling_core.training.trainer import Team
from tasks.cluster.session import ray_session
from tasks.jobs.train.data import read_training_set
from tasks.jobs.train.run import TrainingResult, train_here

if TYPE_CHECKING:
    from rescaling_core.training.recipe import Recipe

_RESTARTS: Final = 3
"""Times that a lost worker makes the team start again from the last checkpoint."""


def train_on_workers(
    recipe: Recipe, data: str, validation: str | None, out: Path, *, workers: int, resume: bool
) -> TrainingResult:
    """Train with as many processes, each on a GPU if the cluster has any.

    Args:
        recipe: Its batch is divided evenly.
        data: URL or path of a folder that every node sees; every worker decodes it.
        validation: The same, to measure on; by default some of `data`.
        out: The run's folder, which every node sees as well.
        workers: Processes.
        resume: Continue what `out` holds, if anything.

    Raises:
        UsageError: Ray Train is not installed, or the batch cannot be divided.
        RefoldError: A worker failed more often than it was restarted.
    """
    if recipe.optimisation.batch % workers:
        batch = recipe.optimisation.batch
        raise UsageError(f"--workers {workers}: they cannot share a batch of {batch} evenly")
    try:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
    except ImportError as error:
        raise UsageError("--workers: needs Ray Train; pip install 'refold[train]'") from error
    # Absolute, as workers run elsewhere. A folder with a run was refused before, unless it is to
    # be continued: so a restarted team may always continue what it finds.
    out = out.absolute()
    with ray_session():
        gpus = ray.cluster_resources().get("GPU", 0)  # type: ignore[no-untyped-call]
        job = {"recipe": recipe, "data": data, "validation": validation, "out": out}
        trainer = TorchTrainer(
            _train_as_one_of_many,  # type: ignore[arg-type]
            train_loop_config=job,
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=gpus >= workers),
            run_config=RunConfig(
                name="ray",
                storage_path=str(out),
                failure_config=FailureConfig(max_failures=_RESTARTS),
            ),
        )
        try:
            result = trainer.fit().return_value  # type: ignore[attr-defined]
        except ray.train.TrainingFailedError as error:
            raise RefoldError(f"{out}: training failed: {error}") from error
    assert isinstance(result, TrainingResult)
    return result


def _train_as_one_of_many(job: dict[str, Any]) -> TrainingResult | None:
    """What each worker does; the first one's result is the team's."""
    from ray.train import get_context
    from ray.train.torch import get_device, prepare_model

    context = get_context()
    # Weights that a recipe leaves unused, such as a mixture's, get no gradient.
    share = partial(
        prepare_model,
        move_to_device=False,
        parallel_strategy_kwargs={"find_unused_parameters": True},
    )
    team = Team(rank=context.get_world_rank(), size=context.get_world_size(), share=share)
    images, held_out = read_training_set(job["data"], job["validation"])
    device = str(get_device())
    return train_here(
        job["recipe"], images, held_out, job["out"], resume=True, device=device, team=team
    )
