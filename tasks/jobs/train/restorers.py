"""Training a restorer in this process: coded pictures, steps, and the best weights so far."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import torch

from rescaling_core.errors import UsageError
from rescaling_core.training.growing import grow
from rescaling_core.training.pairs import Beneath
from rescaling_core.training.restorer_trainer import RestorerTrainer, new_restorer
from rescaling_core.training.restorer_validation import Gain, measure_restorer
from rescaling_core.zoo import restorers
from rescaling_core.zoo.restorer_card import Coding
from tasks.jobs.train.best import best_of, keep_best
from tasks.jobs.train.folder import RunFolder, plot_run
from tasks.jobs.train.pairs import PairFolder, measured_pairs, training_pairs
from tasks.jobs.train.pause import NEVER, Pause
from tasks.jobs.train.run import TrainingResult, run_steps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rescaling_core.networks.restorer import Restorer
    from rescaling_core.pixels.arrays import U8Array
    from rescaling_core.training.restorer_recipe import RestorerRecipe
    from rescaling_core.zoo.restorers import LoadedRestorer


def first_restorer(recipe: RestorerRecipe) -> Restorer:
    """What a run starts from: a network that changes nothing, or one like the recipe's `start`.

    Raises:
        UsageError: There is no such network, no such start, or it is larger or of another kind.
    """
    try:
        network = new_restorer(recipe)
    except (TypeError, ValueError) as error:
        raise UsageError(f"recipe {recipe.id}: network: {error}") from error
    if recipe.start is not None:
        try:
            grow(_network_of(restorers.load(recipe.start), recipe), network)
        except ValueError as error:
            raise UsageError(f"recipe {recipe.id}: start = {recipe.start}: {error}") from error
    return network


def _network_of(start: LoadedRestorer, recipe: RestorerRecipe) -> Restorer:
    """Of weights that hold two networks, the one that the recipe goes on with."""
    if recipe.behind is not None and start.final is not None:
        return start.final.network
    return start.network


def beneath_of(recipe: RestorerRecipe) -> Beneath | None:
    """What the recipe of a final filter stands behind.

    Raises:
        UsageError: There are no such weights, or they do not enlarge.
    """
    if recipe.behind is None:
        return None
    enlargement = restorers.load(recipe.behind)
    if enlargement.network.scale == 1:
        raise UsageError(f"recipe {recipe.id}: behind: {recipe.behind} does not enlarge")
    return Beneath(enlargement, recipe.lr_quality)


def train_restorer_here(
    recipe: RestorerRecipe,
    images: Sequence[U8Array],
    held_out: Sequence[U8Array],
    out: Path,
    *,
    resume: bool,
    device: str,
    pairs: Path | None = None,
    pause: Pause = NEVER,
    first_step: int = 0,
) -> TrainingResult:
    """Train to the end; keep the best weights so far with their card in `out`.

    Args:
        recipe: What to do.
        images: (H, W, 3) RGB each, to train on.
        held_out: To measure on.
        out: Folder of the run.
        resume: Continue what it holds, if anything.
        device: As torch names it.
        pairs: Folder of coded pictures, which runs can share; by default one in `out`.
        pause: Waited for before each step.
        first_step: How many of the recipe's steps its `start` has had.

    Raises:
        UsageError: The folder holds a run and `resume` is off, or no step is left.
        CheckpointError: What it holds cannot be continued.
    """
    folder = RunFolder(out)
    network = first_restorer(recipe)
    pictures = recipe.pictures
    beneath = beneath_of(recipe)
    coded = PairFolder(pairs or out / "pairs", pictures, network.scale, beneath)
    measured = measured_pairs(coded, held_out, pictures)
    trainer = RestorerTrainer(
        recipe,
        network,
        training_pairs(coded, images, pictures, pause=pause),
        device=device,
        first_step=first_step,
    )
    path = out / f"{recipe.id}.safetensors"
    facts = {"data": recipe.data or f"{len(images)} images", "hardware": device}

    def write(training: dict[str, Any], gain: Gain) -> None:
        write_restorer(path, recipe, trainer.averaged(), training, gain, beneath)

    plan = recipe.optimisation
    seconds = run_steps(
        trainer,
        folder,
        lambda: measure_restorer(trainer.averaged(), measured),
        plan.steps,
        recipe.cadence,
        resume=resume,
        pause=pause,
        listener=keep_best(folder, "gain", facts, write),
    )
    records = folder.records()
    if not records:
        raise UsageError(f"{out}: nothing was trained; the recipe has no step left")
    plot_run(out / "curve.png", records)
    best = best_of(records, "gain")
    return TrainingResult(
        rescaler=recipe.id,
        steps=trainer.done,
        seconds=round(seconds, 1),
        psnr_y=-inf if best is None else round(best["psnr_y"], 3),
        weights=str(path),
    )


def write_restorer(
    path: Path,
    recipe: RestorerRecipe,
    network: Restorer,
    training: dict[str, object],
    gain: Gain,
    beneath: Beneath | None = None,
) -> restorers.RestorerCard:
    """Write the weights, as float16, and their card.

    Args:
        path: `….safetensors`.
        recipe: What they were made by.
        network: With the averaged weights.
        training: Facts of the run for the card: data, hardware, minutes, ….
        gain: What they gave on held-out pictures.
        beneath: Of a final filter, the enlargement that the same file is to hold.
    """
    pictures = recipe.pictures
    held_out = {
        "pairs": gain.pairs,
        "gain_psnr_y": round(gain.gain, 3),
        "gain_psnr_y_at_quality": {q: round(one, 3) for q, one in gain.gains.items()},
        "gain_colours": round(gain.colours, 3),
    }
    coding = Coding.of(pictures.codec, pictures.effort, pictures.quality)
    final = None
    metrics: dict[str, Any] = {"held-out windows": held_out}
    made: dict[str, Any] = {}
    if beneath is not None:
        final = restorers.FinalFilter(network, coding)
        network, coding = beneath.enlargement.network, beneath.enlargement.coding
        made = {"enlargement": beneath.enlargement.card.training}
        metrics = {"final filter, held-out windows": held_out}
        metrics |= {f"enlargement, {key}": v for key, v in beneath.enlargement.card.metrics.items()}
    card = restorers.describe(
        network,
        coding,
        restorer_id=path.stem,
        title=recipe.title,
        training={"recipe": recipe.id, "seed": recipe.seed, **training, **made},
        metrics=metrics,
        final=None if final is None else (final.network, final.coding),
    )
    return restorers.save(path, network, card, final=final, dtype=torch.float16)
