"""Benchmark tables: rescalers × sets × scales × codecs × qualities, by the papers' protocol."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path, PurePosixPath
from statistics import fmean
from typing import TYPE_CHECKING, Final

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from rescaling_core import codecs, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.training.validation import measure_set
from tasks import published
from tasks.models import load_model
from tasks.training_data import list_images, read_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rescaling_core.arrays import U8Array
    from rescaling_core.networks import Rescaler

DEFAULT_SCALES: Final = (2.0, 4.0)
"""Of rescalers for a range of scales, where none is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """One set through one rescaler and codec: means over its images."""

    set: str
    rescaler: str
    scale: float
    codec: str
    quality: int | None
    """In the codec's own scale; None for lossless."""
    images: int
    psnr_y: float
    """dB; 8-bit images, a border of the scale cropped, luma not rounded."""
    ssim_y: float
    psnr: float
    """dB, RGB."""
    bpp: float
    """Bits of the LR file per HR pixel."""
    lr_psnr_y: float | None
    """dB, of the LR image before the codec against the bicubic one; None where they are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSet:
    """A folder of images."""

    name: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What to measure."""

    rescalers: tuple[str, ...] = ()
    """Ids or weights files; by default all that ship with Refold."""
    scales: tuple[float, ...] = ()
    """By default each rescaler's own; of those for a range, 2 and 4."""
    codec: str = "png"
    """As `CodecSpec.parse` reads it; the papers' JPEG is `jpeg-420`."""
    qualities: tuple[int, ...] = ()
    """By default the codec's own."""
    sets: tuple[str, ...] = ()
    """Names of folders; by default all."""


def resolve(
    sets_url: str, options: EvaluationOptions
) -> tuple[list[BenchmarkSet], tuple[str, ...], list[CodecSpec]]:
    """Turn options into what there is to measure: sets, rescalers, codecs.

    Raises:
        UsageError: No such folder, set, rescaler, codec or quality, or a rescaler that serves
            none of the scales asked for.
    """
    sets = list_sets(sets_url, options.sets)
    specs = codec_specs(options.codec, options.qualities)
    for name in options.rescalers:
        if not served_scales(load_model(name).rescaler, options.scales):
            wanted = ", ".join(f"x{scale:g}" for scale in options.scales)
            raise UsageError(f"rescaler {name}: serves none of the scales {wanted}")
    rescalers = options.rescalers or tuple(card.id for card in zoo.list_models())
    return sets, rescalers, specs


def list_sets(url: str, names: Sequence[str] = ()) -> list[BenchmarkSet]:
    """The folders under `url` that hold images, or `url` itself where it holds them directly.

    Args:
        url: URL or path.
        names: Only these.

    Raises:
        UsageError: No such folder, no image, or a name that is not there.
    """
    _, root = fsspec.core.url_to_fs(url)
    base = PurePosixPath(root)
    by_name: dict[str, list[str]] = {}
    for path in list_images(url):
        parts = PurePosixPath(path).relative_to(base).parts
        by_name.setdefault(parts[0] if len(parts) > 1 else base.name, []).append(path)
    if unknown := sorted(set(names) - by_name.keys()):
        raise UsageError(f"{url}: no set {', '.join(unknown)}; there is {', '.join(by_name)}")
    return [
        BenchmarkSet(name=name, paths=tuple(paths))
        for name, paths in sorted(by_name.items())
        if not names or name in names
    ]


def codec_specs(codec: str, qualities: Sequence[int]) -> list[CodecSpec]:
    """One spec for each quality; the codec's default, or lossless, where there is none.

    Raises:
        UsageError: No such codec, or a quality it has not.
    """
    specs = [CodecSpec.parse(codec, q) for q in qualities] or [CodecSpec.parse(codec)]
    for spec in specs:
        codecs.check_available(spec)
    return specs


def evaluate_set(
    url: str,
    benchmark: BenchmarkSet,
    rescaler_id: str,
    scales: Sequence[float],
    specs: Sequence[CodecSpec],
) -> list[EvaluationRow]:
    """Measure one rescaler over one set.

    Args:
        url: The folder `benchmark` was listed from.
        benchmark: The set.
        rescaler_id: As the zoo knows it.
        scales: Those it does not serve are passed over; none: its own.
        specs: Codecs and qualities.
    """
    images = read_images(url, list(benchmark.paths))
    rescaler = load_model(rescaler_id).rescaler
    rows = []
    for scale in served_scales(rescaler, scales):
        for spec in specs:
            quality = measure_set(rescaler, images, scale, channel=partial(_store, spec))
            values = asdict(quality)
            if values["lr_psnr_y"] == float("inf"):
                values["lr_psnr_y"] = None
            rows.append(
                EvaluationRow(
                    set=benchmark.name,
                    rescaler=rescaler_id,
                    scale=scale,
                    codec=str(spec),
                    quality=spec.quality,
                    **values,
                )
            )
    return rows


def served_scales(rescaler: Rescaler, scales: Sequence[float]) -> list[float]:
    """Of the scales asked for, those the rescaler was made for."""
    own = rescaler.scales
    default = (own.minimum,) if own.minimum == own.maximum else DEFAULT_SCALES
    return [scale for scale in (scales or default) if scale in own]


def _store(spec: CodecSpec, lr: U8Array) -> tuple[U8Array, int]:
    """LR pixels as decoded from the file, and the bytes of the file."""
    data = codecs.encode(lr, spec)
    return codecs.decode(data), len(data)


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
