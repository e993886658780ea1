"""Benchmark tables: rescalers × sets × scales × codecs × qualities, by the papers' protocol."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import fsspec

from rescaling_core import codecs, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.errors import UsageError
from rescaling_core.training.validation import measure_set
from tasks.collection.images import list_images, read_images
from tasks.models.loading import load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.networks import Rescaler
    from rescaling_core.pixels.arrays import U8Array

DEFAULT_SCALES: Final = (2.0, 4.0)
"""Scales measured for a rescaler that serves a range of them, where none is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """One set through one rescaler and codec: means over its images."""

    set: str
    rescaler: str
    scale: float
    codec: str
    quality: int | None
    """Quality on the codec's own scale; None for lossless."""
    images: int
    psnr_y: float
    """PSNR-Y in dB, by the papers' protocol: 8-bit images, a border of the scale cropped, luma not
    rounded."""
    ssim_y: float
    psnr: float
    """PSNR over R, G and B in dB."""
    bpp: float
    """Bits of the LR file per HR pixel."""
    lr_psnr_y: float | None
    """PSNR-Y in dB of the LR image before the codec against the bicubic one; None where they are
    equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSet:
    """A folder of images."""

    name: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What to measure."""

    rescalers: tuple[str, ...] = ()
    """Ids or weights files; by default all rescalers that ship with Refold."""
    scales: tuple[float, ...] = ()
    """Scales to measure; by default each rescaler's own, and 2 and 4 for those that serve a
    range."""
    codec: str = "png"
    """The codec as `CodecSpec.parse` reads it; the papers' JPEG is `jpeg-420`."""
    qualities: tuple[int, ...] = ()
    """Qualities to measure; by default the codec's own."""
    sets: tuple[str, ...] = ()
    """Names of the folders to measure; by default all."""


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
