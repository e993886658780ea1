"""The tables and plots of an evaluation."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.jobs.evaluate import published
from tasks.jobs.evaluate.benchmark import EvaluationRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def write_parquet(path: Path, rows: Sequence[EvaluationRow]) -> None:
    """Write the rows as a table, one column a field."""
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows]), path)


def render_markdown(rows: Sequence[EvaluationRow]) -> str:
    """Tables laid out like the papers': one for each scale and codec, sets across, PSNR-Y/SSIM-Y.

    Published figures of the same sets and codec stand below ours, in italics; a set of which only
    some images were measured is named with their number.
    """
    parts = []
    key = attrgetter("scale", "codec")
    for (scale, codec), group in groupby(sorted(rows, key=key), key=key):
        parts.append(f"### x{scale:g}, {codec}\n\n{_table(list(group))}")
    return "\n\n".join(parts) + "\n"


def _table(rows: list[EvaluationRow]) -> str:
    """One table: a line for each rescaler and quality, then the published ones."""
    sets = list(dict.fromkeys(row.set for row in rows))
    images = {row.set: row.images for row in rows}
    lossy = rows[0].quality is not None
    head = ["rescaler", *(["quality"] if lossy else []), *(f"{s} ({images[s]})" for s in sets)]
    head += ["bpp", "LR, dB"]
    lines = [head, ["---"] * len(head)]
    quality_of = attrgetter("quality")
    for quality, group in groupby(sorted(rows, key=lambda r: r.quality or 0), key=quality_of):
        same = list(group)
        for rescaler in dict.fromkeys(row.rescaler for row in same):
            own = {row.set: row for row in same if row.rescaler == rescaler}
            cells = [_cell(own[s].psnr_y, own[s].ssim_y) if s in own else "" for s in sets]
            lines.append([rescaler, *([str(quality)] if lossy else []), *cells, *_means(own)])
        lines += _published_lines(same[0], sets, lossy=lossy)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _published_lines(row: EvaluationRow, sets: list[str], *, lossy: bool) -> Iterator[list[str]]:
    found = {s: published.find(s, row.scale, row.codec, row.quality) for s in sets}
    for method in dict.fromkeys(cell.method for cells in found.values() for cell in cells):
        by_set = {s: cell for s in sets for cell in found[s] if cell.method == method}
        cells = [_cell(by_set[s].psnr_y, by_set[s].ssim_y) if s in by_set else "" for s in sets]
        quality = [str(row.quality)] if lossy else []
        yield [f"*{method}, published*", *quality, *cells, "", ""]


def _means(rows: dict[str, EvaluationRow]) -> list[str]:
    """Bits per pixel and LR fidelity, means over the sets."""
    lr = [row.lr_psnr_y for row in rows.values() if row.lr_psnr_y is not None]
    bpp = fmean(row.bpp for row in rows.values())
    return [f"{bpp:.3f}", f"{fmean(lr):.1f}" if len(lr) == len(rows) else "equal"]


def _cell(psnr_y: float, ssim_y: float | None) -> str:
    return f"{psnr_y:.2f}" if ssim_y is None else f"{psnr_y:.2f} / {ssim_y:.4f}"


def plot_rows(path: Path, rows: Sequence[EvaluationRow]) -> None:
    """Draw PSNR-Y against bits per HR pixel, one panel a set, one line a rescaler, as PNG."""
    from matplotlib.figure import Figure

    sets = list(dict.fromkeys(row.set for row in rows))
    figure = Figure(figsize=(4 * len(sets), 4), layout="constrained")
    panels = figure.subplots(1, len(sets), squeeze=False)[0]
    key = attrgetter("rescaler", "scale", "codec")
    for panel, name in zip(panels, sets, strict=True):
        own = sorted((row for row in rows if row.set == name), key=key)
        for (rescaler, scale, codec), group in groupby(own, key=key):
            points = sorted((row.bpp, row.psnr_y) for row in group)
            label = f"{rescaler} x{scale:g} {codec}"
            panel.plot(*zip(*points, strict=True), marker="o", label=label)
        panel.set(title=name, xlabel="bits per HR pixel", ylabel="PSNR-Y, dB")
    panels[-1].legend(fontsize="small")
    figure.savefig(path)
