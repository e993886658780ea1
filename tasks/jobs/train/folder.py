"""The folder of a training run: checkpoints, metrics, curves and weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch

from rescaling_core import zoo
from rescaling_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.networks import Rescaler
    from rescaling_core.training.recipe import Recipe
    from rescaling_core.zoo import ModelCard


CHECKPOINT: Final = "checkpoint.pt"


METRICS: Final = "metrics.jsonl"


class Resumable(Protocol):
    """A trainer of either kind, as far as a folder has to do with it."""

    @property
    def done(self) -> int:
        """Number of steps done."""

    def state_dict(self) -> dict[str, Any]:
        """All that a later `load_state_dict` needs to continue as if never interrupted."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""


class RunFolder:
    """Where a run keeps its state. Every file is replaced whole, so a kill loses no old one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    @property
    def started(self) -> bool:
        """Whether there is a checkpoint to continue from."""
        return (self.path / CHECKPOINT).exists()

    def save(self, trainer: Resumable, seconds: float) -> None:
        """Keep the state after the step that was done last."""
        state = {**trainer.state_dict(), "seconds": seconds}
        part = self.path / f"{CHECKPOINT}.part"
        torch.save(state, part)
        os.replace(part, self.path / CHECKPOINT)

    def resume(self, trainer: Resumable) -> float:
        """Continue from the checkpoint, and forget metrics of steps after it.

        Returns:
            Seconds of training so far.

        Raises:
            CheckpointError: It is damaged or of another recipe.
        """
        path = self.path / CHECKPOINT
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True)
            trainer.load_state_dict(state)
        except (OSError, RuntimeError, KeyError, ValueError, EOFError) as error:
            raise CheckpointError(f"{path}: not a checkpoint of this recipe: {error}") from error
        kept = [line for line in self._lines() if json.loads(line)["step"] <= trainer.done]
        part = self.path / f"{METRICS}.part"
        part.write_text("".join(f"{line}\n" for line in kept), "utf-8")
        os.replace(part, self.path / METRICS)
        return float(state["seconds"])

    def record(self, **values: Any) -> None:
        """Append one line to the metrics."""
        with (self.path / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """All metrics so far."""
        return [json.loads(line) for line in self._lines()]

    def _lines(self) -> list[str]:
        path = self.path / METRICS
        if not path.exists():
            return []
        # A kill can cut the last line off in the middle.
        return [line for line in path.read_text("utf-8").split("\n")[:-1] if line]


def steps_in(folder: Path) -> int:
    """How far the checkpoint of a run is; 0 where there is none, or a damaged one."""
    try:
        return int(torch.load(folder / CHECKPOINT, weights_only=True, mmap=True)["done"])
    except (OSError, RuntimeError, KeyError, ValueError, EOFError):
        return 0


def write_weights(
    path: Path, recipe: Recipe, rescaler: Rescaler, training: dict[str, Any]
) -> ModelCard:
    """Write the weights, as float16, and their card.

    Args:
        path: `….safetensors`.
        recipe: What they were made by.
        rescaler: With the averaged weights.
        training: Facts of the run for the card: data, hardware, minutes, ….
    """
    facts: dict[str, Any] = {"recipe": recipe.id, "seed": recipe.seed}
    if recipe.compression.codecs:
        names, quality = recipe.compression.codecs, recipe.compression.quality
        facts["compression"] = {"codecs": list(names), "quality": list(quality)}
    facts |= training
    card = zoo.describe(rescaler, model_id=recipe.id, title=recipe.title, training=facts)
    return zoo.save(path, rescaler, card, dtype=torch.float16)


def plot_run(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Draw loss and validation PSNR-Y over the steps, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    left = figure.subplots()
    width = max(1, len(records) // 200)
    chunks = [records[start : start + width] for start in range(0, len(records), width)]
    steps = [chunk[-1]["step"] for chunk in chunks]
    left.plot(steps, [sum(r["loss"] for r in chunk) / len(chunk) for chunk in chunks], color="C0")
    left.set(xlabel="step", ylabel="loss", yscale="log")
    validated = [record for record in records if "validation" in record]
    right = left.twinx()
    right.plot(
        [record["step"] for record in validated],
        [record["validation"]["psnr_y"] for record in validated],
        color="C1",
        marker=".",
    )
    right.set_ylabel("validation PSNR-Y, dB")
    figure.savefig(path)
