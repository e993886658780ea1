"""Rate-distortion curves of all bundled weights, as they stand in docs/models.md.

python -m benchmarks.rate_distortion SETS_DIR --set Kodak --points POINTS.jsonl --plot CURVES.png
                                     [--every 3] [--only ID]… [--again ID]…

Takes hours for a whole set. Each curve is kept in POINTS.jsonl as soon as it is
measured, and not measured again; `--again` forgets those of a rescaler whose weights changed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated, Final

import typer

from tasks.jobs.evaluate.benchmark import list_sets
from tasks.jobs.evaluate.rates import (
    FULL_SIZE_LADDERS,
    RatePoint,
    full_size_points,
    plot_rates,
    render_rates,
    rescaled_points,
)

WAYS: Final[dict[str, tuple[str, ...]]] = {
    "bicubic": ("avif",),
    "irn-x2-lite": ("jxl-lossless", "avif"),
    "irn-x4-lite": ("jxl-lossless", "avif"),
    "dlv-irn-x4-lite": ("jxl-lossless", "avif"),
    "sain-x2-jpeg-lite": ("jpeg-420",),
    "sain-x2-avif-lite": ("avif",),
    "sain-x2-webp-lite": ("webp",),
    "sain-x4-jpeg-lite": ("jpeg-420",),
    "aidn-lite": ("jxl-lossless", "avif"),
    "aidn-plus-lite": ("jpeg-420",),
}
"""Rescalers, and the codecs for their LR images that they are meant for."""


def main(
    sets_dir: str,
    points: Annotated[Path, typer.Option()],
    plot: Annotated[Path, typer.Option()],
    benchmark: Annotated[str, typer.Option("--set")] = "Kodak",
    only: Annotated[list[str] | None, typer.Option()] = None,
    again: Annotated[list[str] | None, typer.Option()] = None,
    every: Annotated[int, typer.Option(help="Of the images, only every so manyth.")] = 1,
) -> None:
    """Measure what is missing, then print the table and draw the curves."""
    known = read(points, benchmark)
    known = [p for p in known if p.full_size or p.method.split()[0] not in (again or ())]
    write(points, known)
    (images,) = list_sets(sets_dir, [benchmark])
    images = replace(images, paths=images.paths[::every])
    for codec, qualities in FULL_SIZE_LADDERS.items():
        if not any(p.method == codec for p in known):
            known += full_size_points(sets_dir, images, {codec: qualities})
            write(points, known)
    for rescaler, codecs in WAYS.items():
        for codec in codecs if not only or rescaler in only else ():
            if not any(p.method == f"{rescaler} {codec}" for p in known):
                known += rescaled_points(sets_dir, images, rescaler, codec, ())
                write(points, known)
    plot_rates(plot, known)
    print(render_rates(known))


def read(path: Path, benchmark: str) -> list[RatePoint]:
    """What was measured before, on that set."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    points = [RatePoint(**json.loads(line)) for line in lines]
    return [point for point in points if point.set == benchmark]


def write(path: Path, points: list[RatePoint]) -> None:
    """Replace the file."""
    path.write_text("".join(f"{json.dumps(asdict(point))}\n" for point in points), "utf-8")


if __name__ == "__main__":
    typer.run(main)
