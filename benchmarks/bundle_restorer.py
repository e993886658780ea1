"""Put the weights of a restorer's training run among those that ship, measured, with their card.

    python -m benchmarks.bundle_restorer restorer-avif-lite RUN --tag 2026-11 --hardware "1 core"

RUN is the folder that `refold train --out` wrote: the best weights so far are bundled, of a run
that is not finished as well.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.restorers import BENCH, figures, measure, pictures_of, table
from rescaling_core.training.restorer_recipe import RestorerRecipe
from rescaling_core.zoo import restorers
from tasks.jobs.train.data import load_any_recipe


def bundle(
    recipe: RestorerRecipe, run: Path, *, tag: str, hardware: str, notes: str, bench: Path,
    sets: list[str],
) -> None:  # fmt: skip
    """Write `<id>.<tag>.safetensors` and its card."""
    made = restorers.load(run / f"{recipe.id}.safetensors")
    network, final = made.network, made.final
    metrics: dict[str, Any] = dict(made.card.metrics)
    if final is not None:  # its figures with pictures are those of `benchmarks.floor`
        sets = []
    card = replace(
        made.card,
        id=f"{recipe.id}.{tag}",
        training={
            **made.card.training,
            "data": recipe.data,
            "command": f"refold train --config {recipe.id} --data FOLDER",
            "hardware": hardware,
        },
        notes=notes,
    )
    restorers.RESTORERS_DIR.mkdir(exist_ok=True)
    path = restorers.RESTORERS_DIR / f"{card.id}.safetensors"
    written = restorers.save(path, network, card, final=final, dtype=torch.float16)
    for name in sets:
        points = measure(pictures_of(bench / name), str(path), None, check=True)
        print(f"## {name}\n\n{table(points)}\n", flush=True)
        metrics[name] = figures(points)
    if sets:
        card = replace(card, metrics=metrics)
        written = restorers.save(path, network, card, dtype=torch.float16)
    print(f"{path}: {written.weights_bytes} bytes, {written.weights_sha256}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("recipe")
    parser.add_argument("run", type=Path)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--hardware", required=True)
    parser.add_argument("--notes", default="")
    parser.add_argument("--bench", type=Path, default=BENCH)
    parser.add_argument("--sets", nargs="+", default=["Kodak", "BSD100"])
    arguments = parser.parse_args()
    recipe = load_any_recipe(arguments.recipe)
    if not isinstance(recipe, RestorerRecipe):
        parser.error(f"{arguments.recipe}: not the recipe of a restorer")
    torch.set_num_threads(1)
    bundle(
        recipe,
        arguments.run,
        tag=arguments.tag,
        hardware=arguments.hardware,
        notes=arguments.notes,
        bench=arguments.bench,
        sets=arguments.sets,
    )


if __name__ == "__main__":
    main()
