"""What restorers give: bytes at equal PSNR-Y, with and without them, over the very same files.

    python -m benchmarks.restorers --restorer restorer-avif-lite --sets Kodak

Each picture is coded at several qualities by the settings the restorer is for, decoded, restored
and measured. A picture's curve is read at a floor by a monotone cubic of the logarithm of its
bytes; bytes are summed over the pictures whose curves both reach the floor. `BD` is the mean over
pictures of Bjøntegaard's rate. Colours are the fall of the mean squared error of both colour
differences. The files hold no restoration metadata. Sets are read from `../shared/bench` by
default.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from PIL import Image
from scipy.interpolate import PchipInterpolator

from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.networks.restorer import TO_YCBCR
from rescaling_core.precision import Precision
from rescaling_core.quality import metrics
from rescaling_core.quality.rate_distortion import bd_rate
from rescaling_core.rescale.decoded import restore_decoded
from rescaling_core.zoo import restorers

if TYPE_CHECKING:
    from rescaling_core.pixels.arrays import U8Array

BENCH = Path(__file__).resolve().parent.parent.parent / "shared" / "bench"
QUALITIES = (14, 22, 30, 38, 46, 54, 62, 72, 84)
FLOORS = (30.0, 32.0, 34.0, 36.0, 38.0, 40.0, 42.0)
RANGE = (30.0, 42.0)

Curve = list[tuple[float, float]]
"""(bytes, PSNR-Y) pairs, by rising bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One picture at one quality."""

    picture: str
    quality: int
    nbytes: int
    psnr_y: float
    restored_psnr_y: float
    ssim_y: float
    restored_ssim_y: float
    colours: float
    """Mean squared error of both colour differences, in levels."""
    restored_colours: float
    seconds: float
    """CPU seconds of restoring, per megapixel."""


def measure(
    paths: list[Path],
    name: str,
    effort: int | None,
    *,
    check: bool,
    precision: Precision = "float32",
) -> list[Point]:
    """Code, restore and measure every picture at every quality."""
    restorer = restorers.load(name)
    restorer.network.precision = precision
    points = []
    for path in paths:
        with Image.open(path) as image:
            original = np.asarray(image.convert("RGB"))
        for quality in QUALITIES:
            own = restorer.coding.spec(quality)
            spec = CodecSpec(own.name, quality, own.chroma, own.effort if check else effort)
            if check:
                restorer.check(spec)
            data = codecs.encode(original, spec)
            decoded = codecs.decode(data)
            started = time.process_time()
            restored = restore_decoded(decoded, quality, restorer.network)
            seconds = (time.process_time() - started) / (original.size / 3e6)
            points.append(
                Point(
                    picture=path.stem,
                    quality=quality,
                    nbytes=len(data),
                    psnr_y=metrics.psnr_y(decoded, original),
                    restored_psnr_y=metrics.psnr_y(restored, original),
                    ssim_y=metrics.ssim_y(decoded, original),
                    restored_ssim_y=metrics.ssim_y(restored, original),
                    colours=colour_error(decoded, original),
                    restored_colours=colour_error(restored, original),
                    seconds=seconds,
                )
            )
    return points


def pictures_of(folder: Path) -> list[Path]:
    """The files of a set."""
    return sorted(path for path in folder.iterdir() if path.is_file())


def colour_error(picture: U8Array, original: U8Array) -> float:
    """Mean squared error of both colour differences, in levels."""
    difference = original.astype(np.float32) - picture
    return float(np.mean((difference @ np.array(TO_YCBCR[1:], np.float32).T) ** 2))


def curves(points: list[Point]) -> dict[str, tuple[Curve, Curve]]:
    """Of each picture: without and with the restorer."""
    found: dict[str, tuple[Curve, Curve]] = {}
    for point in sorted(points, key=lambda one: one.nbytes):
        plain, restored = found.setdefault(point.picture, ([], []))
        plain.append((point.nbytes, point.psnr_y))
        restored.append((point.nbytes, point.restored_psnr_y))
    return found


def bytes_at(curve: Curve, floor: float) -> float | None:
    """Bytes at which a curve reaches a floor; None where it does not reach so low or so high."""
    rising = [curve[0]]
    for point in curve[1:]:
        if point[1] > rising[-1][1]:
            rising.append(point)
    quality = [one for _, one in rising]
    if len(rising) < 2 or not quality[0] <= floor <= quality[-1]:
        return None
    return float(np.exp(PchipInterpolator(quality, np.log([one for one, _ in rising]))(floor)))


def mean_log_ratio(plain: Curve, restored: Curve) -> float | None:
    """Mean over the common part of `RANGE` of the logarithm of restored over plain bytes."""
    low = max(RANGE[0], plain[0][1], restored[0][1])
    high = min(RANGE[1], plain[-1][1], restored[-1][1])
    if high - low < 1:
        return None
    ratios = []
    for floor in np.linspace(low, high, 60):
        one, other = bytes_at(restored, floor), bytes_at(plain, floor)
        if one and other:
            ratios.append(np.log(one / other))
    return float(np.mean(ratios))


def figures(points: list[Point]) -> dict[str, Any]:
    """What a card keeps of a set."""
    found = curves(points)
    floors = {}
    for floor in FLOORS:
        pairs = [
            (one, other)
            for plain, restored in found.values()
            if (one := bytes_at(plain, floor)) and (other := bytes_at(restored, floor))
        ]
        if pairs:
            before, after = (sum(column) for column in zip(*pairs, strict=True))
            floors[f"{floor:g} dB"] = {
                "pictures": len(pairs),
                "bytes_without": round(before),
                "bytes_with": round(after),
                "percent": round(100 * (after / before - 1), 2),
            }
    logs = {name: mean_log_ratio(*pair) for name, pair in found.items()}
    shares = {name: 100 * np.expm1(one) for name, one in logs.items() if one is not None}
    rates = [rate for pair in found.values() if (rate := bd_rate(*pair)) is not None]
    gains = [point.restored_psnr_y - point.psnr_y for point in points]
    colours = np.sum([(p.colours, p.restored_colours) for p in points], axis=0)
    worst, best = max(shares, key=lambda k: shares[k]), min(shares, key=lambda k: shares[k])
    return {
        "pictures": len(found),
        "qualities": sorted({point.quality for point in points}),
        "bytes_at": floors,
        "percent_30_to_42_dB": round(float(np.mean(list(shares.values()))), 2),
        "worst": [worst, round(float(shares[worst]), 2)],
        "best": [best, round(float(shares[best]), 2)],
        "bd_rate": round(float(np.mean(rates)), 2),
        "gain_psnr_y": round(float(np.mean(gains)), 3),
        "least_gain_psnr_y": round(min(gains), 3),
        "gain_ssim_y": round(float(np.mean([p.restored_ssim_y - p.ssim_y for p in points])), 5),
        "gain_colours": round(float(10 * np.log10(colours[0] / colours[1])), 3),
    }


def table(points: list[Point]) -> str:
    """The figures as Markdown."""
    known = figures(points)
    rows = ["| at | pictures | bytes without | with | difference |", "|---|---:|---:|---:|---:|"]
    rows += [
        f"| {floor} | {row['pictures']} | {row['bytes_without']:,} | {row['bytes_with']:,} "
        f"| {row['percent']:+.2f} % |"
        for floor, row in known["bytes_at"].items()
    ]
    (worst, most), (best, least) = known["worst"], known["best"]
    rows += [
        "",
        f"{RANGE[0]:g} to {RANGE[1]:g} dB: {known['percent_30_to_42_dB']:+.2f} % "
        f"(worst {worst} {most:+.2f} %, best {best} {least:+.2f} %), BD {known['bd_rate']:+.2f} %",
        f"PSNR-Y {known['gain_psnr_y']:+.3f} dB (least {known['least_gain_psnr_y']:+.3f}), "
        f"SSIM-Y {known['gain_ssim_y']:+.5f}, colours {known['gain_colours']:+.3f} dB, "
        f"restoring {np.median([p.seconds for p in points]):.2f} CPU s a MP",
    ]
    return "\n".join(rows)


def main() -> None:
    """Measure, print the table, keep the points."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--restorer", required=True, help="id or path")
    parser.add_argument("--sets", nargs="+", default=["Kodak"])
    parser.add_argument("--bench", type=Path, default=BENCH)
    parser.add_argument("--every", type=int, default=1, help="every n-th picture of a set")
    parser.add_argument("--effort", type=int, help="not the restorer's own: what misuse gives")
    parser.add_argument("--precision", choices=get_args(Precision), default="float32")
    parser.add_argument("--out", type=Path, help="points as JSON lines")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.sets:
        points = measure(
            pictures_of(arguments.bench / name)[:: arguments.every],
            arguments.restorer,
            arguments.effort,
            check=arguments.effort is None,
            precision=arguments.precision,
        )
        print(f"## {name}\n\n{table(points)}\n", flush=True)
        if arguments.out:
            with arguments.out.open("a", encoding="utf-8") as file:
                for point in points:
                    file.write(json.dumps({"set": name, **asdict(point)}) + "\n")


if __name__ == "__main__":
    main()
