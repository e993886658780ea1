"""Put the weights of a training run into the zoo, with a card that holds their own tables.

python -m benchmarks.bundle_weights RECIPE RUN SETS_DIR --tag 2026-11 --hardware "2 CPU cores"
[--codec jpeg-420 --quality 30 --quality 90]

RECIPE is a file or the id of a bundled recipe; RUN is the folder that `refold train --out` wrote;
SETS_DIR holds one folder of images for each benchmark set. The best weights of the run so far are
bundled, of one that is not finished as well.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated

import torch
import typer

from rescaling_core import zoo
from tasks.jobs.evaluate.benchmark import EvaluationRow, codec_specs, evaluate_set, list_sets
from tasks.jobs.train.data import load_recipe

if TYPE_CHECKING:
    from rescaling_core.networks import Rescaler
    from rescaling_core.training.recipe import Recipe


def bundle(
    recipe_id: str,
    run: Path,
    sets_dir: str,
    tag: Annotated[str, typer.Option()],
    hardware: Annotated[str, typer.Option()],
    codec: Annotated[str, typer.Option()] = "png",
    quality: Annotated[list[int] | None, typer.Option()] = None,
    scale: Annotated[list[float] | None, typer.Option()] = None,
    only: Annotated[list[str] | None, typer.Option("--set")] = None,
    notes: Annotated[str, typer.Option()] = "",
) -> None:
    """Write `<id>.<tag>.safetensors` and its card."""
    recipe = load_recipe(recipe_id)
    rescaler, training = read_run(recipe, run)
    training["hardware"] = hardware
    training["command"] = f"refold train --config {recipe.id} --data FOLDER"
    model_id = f"{recipe.id}.{tag}"
    card = zoo.describe(
        rescaler, model_id=model_id, title=recipe.title, training=training, notes=notes
    )
    path = zoo.WEIGHTS_DIR / f"{model_id}.safetensors"
    zoo.save(path, rescaler, card, dtype=torch.float16)
    specs = codec_specs(codec, quality or [])
    rows = [
        row
        for benchmark in list_sets(sets_dir, only or ())
        for row in evaluate_set(sets_dir, benchmark, model_id, scale or (), specs)
    ]
    metrics = {title(row, rows): figures(row) for row in rows}
    described = zoo.describe(
        rescaler,
        model_id=model_id,
        title=recipe.title,
        training=training,
        metrics=metrics,
        notes=notes,
    )
    written = zoo.save(path, rescaler, described, dtype=torch.float16)
    for name, row in metrics.items():
        print(f"{name}: {row['psnr_y']} dB, {row['ssim_y']}")
    print(f"{path}: {written.weights_bytes} bytes, {training['iterations']} steps")


def read_run(recipe: Recipe, run: Path) -> tuple[Rescaler, dict[str, object]]:
    """The best weights of a run, and the facts of it."""
    made = zoo.load(run / f"{recipe.id}.safetensors")
    return made.rescaler, {**made.card.training, "data": recipe.data, "start": recipe.start}


def title(row: EvaluationRow, rows: list[EvaluationRow]) -> str:
    """The set's name, with scale and quality where there are several."""
    parts = [row.set]
    if len({other.scale for other in rows}) > 1:
        parts.append(f"x{row.scale:g}")
    if len({other.quality for other in rows}) > 1:
        parts.append(f"quality {row.quality}")
    return ", ".join(parts)


def figures(row: EvaluationRow) -> dict[str, object]:
    """What a card keeps of a row."""
    return {
        "images": row.images,
        "scale": row.scale,
        "codec": row.codec,
        "quality": row.quality,
        "psnr_y": round(row.psnr_y, 2),
        "ssim_y": round(row.ssim_y, 4),
        "psnr": round(row.psnr, 2),
        "bpp": round(row.bpp, 3),
        "lr_psnr_y": None if row.lr_psnr_y is None else round(row.lr_psnr_y, 2),
    }


if __name__ == "__main__":
    typer.run(bundle)
