"""Rate-distortion curves: small files that are restored, against full-size ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby, product
from operator import attrgetter
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.quality.rate_distortion import bd_rate, rate_at
from rescaling_core.quality.scores import MEASURES, Scores, measure_all
from rescaling_core.rescale import downscale_pixels, restore_pixels
from tasks.collection.images import read_images
from tasks.jobs.evaluate.benchmark import served_scales
from tasks.models.loading import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rescaling_core.pixels.arrays import U8Array
    from tasks.jobs.evaluate.benchmark import BenchmarkSet

LR_LADDERS: Final[dict[str, tuple[int, ...]]] = {
    "jpeg": (30, 50, 70, 85, 95),
    "jpeg-420": (30, 50, 70, 85, 95),
    "webp": (30, 50, 70, 85, 95),
    "avif": (40, 55, 70, 85, 95),
}
"""Qualities of LR files, by codec; lossless codecs have one."""

FULL_SIZE_LADDERS: Final[Mapping[str, Sequence[int]]] = {
    "jpeg": (10, 25, 50, 75, 90, 97),
    "jpeg-420": (10, 25, 50, 75, 90, 97),
    "webp": (5, 25, 50, 75, 90, 98),
    "avif": (5, 15, 25, 40, 55, 70, 85, 95),
    "avif-420": (5, 15, 25, 40, 55, 70, 85, 95),
    "jxl": (15, 40, 60, 75, 90, 97),
}

_AVERAGED: Final = tuple(one for one in MEASURES.values() if not one.whole)
"""The measures whose mean over the images of a set says something."""

_LATENT_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePoint(Scores):
    """One way to store a set: means over its images, whole, with nothing cropped.

    The largest error is that of the worst image.
    """

    set: str
    method: str
    """Name of the method, such as `avif` or `irn-x2-lite avif`."""
    full_size: bool
    quality: int | None
    bpp: float
    """Bits of the file per HR pixel, without metadata."""


def full_size_points(
    url: str,
    benchmark: BenchmarkSet,
    ladders: Mapping[str, Sequence[int]] = FULL_SIZE_LADDERS,
) -> list[RatePoint]:
    """The usual codecs at full size; AVIF at speed 6."""
    images = read_images(url, list(benchmark.paths))
    points = []
    for codec, qualities in ladders.items():
        for quality in qualities:
            way = partial(_full_size, CodecSpec.parse(codec, quality))
            point = _measure(images, way, benchmark.name, codec, quality, full_size=True)
            points.append(point)
    return points


def rescaled_points(
    url: str, benchmark: BenchmarkSet, rescaler_id: str, codec: str, qualities: Sequence[int]
) -> list[RatePoint]:
    """One rescaler with one codec for the LR files, at its smallest scale."""
    images = read_images(url, list(benchmark.paths))
    rescaler = load_model(rescaler_id).rescaler
    scale = served_scales(rescaler, ())[0]
    points = []
    for quality in qualities or LR_LADDERS.get(codec) or (None,):
        spec = CodecSpec.parse(codec, quality)

        def rescaled(hr: U8Array, spec: CodecSpec = spec) -> tuple[int, U8Array]:
            data = codecs.encode(downscale_pixels(rescaler, hr, scale), spec)
            size = (hr.shape[0], hr.shape[1])
            restored = restore_pixels(rescaler, codecs.decode(data), size, scale, seed=_LATENT_SEED)
            return len(data), restored

        method = f"{rescaler_id} {codec}"
        points.append(
            _measure(images, rescaled, benchmark.name, method, spec.quality, full_size=False)
        )
    return points


def _full_size(spec: CodecSpec, hr: U8Array) -> tuple[int, U8Array]:
    data = codecs.encode(hr, spec)
    return len(data), codecs.decode(data)


def _measure(
    images: Sequence[U8Array],
    way: Callable[[U8Array], tuple[int, U8Array]],
    set_name: str,
    method: str,
    quality: int | None,
    *,
    full_size: bool,
) -> RatePoint:
    rows: list[dict[str, Any]] = []
    for hr in images:
        nbytes, restored = way(hr)
        bpp = 8 * nbytes / (hr.shape[0] * hr.shape[1])
        rows.append({"bpp": bpp} | measure_all(restored, hr, MEASURES.values()))
    return RatePoint(
        set=set_name,
        method=method,
        full_size=full_size,
        quality=quality,
        **{name: _over_images(name, [row[name] for row in rows]) for name in rows[0]},
    )


def _over_images(name: str, values: Sequence[Any]) -> Any:
    """The mean; of the largest error of an image, the largest."""
    whole = name in MEASURES and MEASURES[name].whole
    return max(values) if whole else fmean(values)


def render_rates(points: Sequence[RatePoint]) -> str:
    """For each set, how many more bits each rescaled curve takes than each full-size one.

    At equal PSNR-Y, at equal SSIMULACRA 2, and so on for every measure that curves are compared by.
    BD-rate where there are four points or more; else the mean over the points there are, each
    against the full-size curve at its quality. Of a codec's chroma samplings the better one counts,
    that is the dearer to compare with.
    """
    parts = []
    by_set = attrgetter("set")
    grouped = [list(group) for _, group in groupby(sorted(points, key=by_set), key=by_set)]
    compared = [one for one in _AVERAGED if one.compared]
    for of_set, measure in product(grouped, compared):
        references = sorted({p.method.partition("-")[0] for p in of_set if p.full_size})
        lines = [["method", *(f"against {r}" for r in references)]]
        lines.append(["---"] * len(lines[0]))
        for method in dict.fromkeys(p.method for p in of_set if not p.full_size):
            own = _curve(of_set, method, measure.name)
            cells = (_against(of_set, reference, own, measure.name) for reference in references)
            lines.append([method, *cells])
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"### {of_set[0].set}: bits at equal {measure.title}\n\n{table}")
    return "\n\n".join(parts) + "\n"


def _against(
    points: Sequence[RatePoint], reference: str, own: list[tuple[float, float]], measure: str
) -> str:
    variants = {p.method for p in points if p.full_size and p.method.partition("-")[0] == reference}
    rates = [_difference(_curve(points, variant, measure), own) for variant in sorted(variants)]
    known = [rate for rate in rates if rate is not None]
    return f"{max(known):+.0f} %" if known else "no shared quality"


def _difference(
    reference: list[tuple[float, float]], own: list[tuple[float, float]]
) -> float | None:
    """Percent of bits more than the reference takes."""
    if len(own) > 3:
        return bd_rate(reference, own)
    pairs = [(bits, rate_at(reference, quality)) for bits, quality in own]
    shares = [bits / rate for bits, rate in pairs if rate is not None]
    return (fmean(shares) - 1) * 100 if shares else None


def _curve(points: Sequence[RatePoint], method: str, measure: str) -> list[tuple[float, float]]:
    """(bits, quality) pairs."""
    return [
        (point.bpp, getattr(point, measure))
        for point in points
        if point.method == method and getattr(point, measure) is not None
    ]


def plot_rates(path: Path, points: Sequence[RatePoint]) -> None:
    """Draw every measure against bits per HR pixel, one row a set, as PNG."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    sets = list(dict.fromkeys(point.set for point in points))
    size = (5 * len(_AVERAGED), 5 * len(sets))
    figure = Figure(figsize=size, layout="constrained")
    colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
    panels = figure.subplots(len(sets), len(_AVERAGED), squeeze=False)
    for row, name in zip(panels, sets, strict=True):
        for panel, measure in zip(row, _AVERAGED, strict=True):
            panel.set_prop_cycle(color=colours)
            for method in dict.fromkeys(point.method for point in points):
                own = sorted(
                    (
                        point
                        for point in points
                        if (point.set, point.method) == (name, method)
                        and getattr(point, measure.name) is not None
                    ),
                    key=attrgetter("bpp"),
                )
                style = "--" if own and own[0].full_size else "-"
                values = [getattr(point, measure.name) for point in own]
                bits = [point.bpp for point in own]
                panel.plot(bits, values, style, marker=".", label=method)
            panel.set(title=name, xlabel="bits per HR pixel", ylabel=measure.label, xscale="log")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside right center")
    figure.savefig(path)
