"""What settings of the AVIF encoder save: bytes at equal PSNR-Y, and processor time.

    python -m benchmarks.encoder_settings ../shared/bench/Kodak --every 2
    python -m benchmarks.encoder_settings FOLDER --mosaic 16 --enlarge 4 --floors 36 38 40

Every picture is encoded at several qualities under each of the settings. Bytes at a PSNR-Y are read
off its curve (monotone cubic of the logarithm of bytes) and summed over the pictures whose curves
all reach it. Pictures of camera size can be made out of smaller ones: `--mosaic 16` puts 16 of them
side by side (full of detail, like nothing a camera gives), `--enlarge 4` makes each four times as
large a side (soft, as oversampled photographs are).
"""

from __future__ import annotations

import argparse
import io
import time
from dataclasses import dataclass
from itertools import islice
from math import log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator

from rescaling_core.quality import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rescaling_core.pixels.arrays import U8Array

BASELINE: Final = "tune=psnr"
SETTINGS: Final = {
    BASELINE: {"tune": "psnr"},
    "+ enable-cdef=1": {"tune": "psnr", "enable-cdef": "1"},
    "+ enable-cdef=1, sb-size=64": {"tune": "psnr", "enable-cdef": "1", "sb-size": "64"},
}


@dataclass(frozen=True, slots=True)
class Point:
    """One file."""

    nbytes: int
    psnr_y: float
    seconds: float
    """Of the processor."""


def encoded(pixels: U8Array, quality: int, speed: int, advanced: dict[str, str]) -> bytes:
    """A 4:2:0 AVIF file without any metadata."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(
        buffer,
        "AVIF",
        quality=quality,
        subsampling="4:2:0",
        speed=speed,
        max_threads=1,
        advanced=advanced,
    )
    return buffer.getvalue()


def point(pixels: U8Array, quality: int, speed: int, advanced: dict[str, str]) -> Point:
    """Encode, decode and measure."""
    started = time.process_time()
    data = encoded(pixels, quality, speed, advanced)
    seconds = time.process_time() - started
    with Image.open(io.BytesIO(data)) as image:
        decoded = np.asarray(image)
    return Point(len(data), metrics.psnr_y(decoded, pixels), seconds)


def bytes_at(curve: list[Point], psnr_y: float) -> float | None:
    """Read a curve; None where it does not reach that far up or down."""
    ordered = sorted(curve, key=lambda one: one.psnr_y)
    if not ordered[0].psnr_y <= psnr_y <= ordered[-1].psnr_y:
        return None
    at = PchipInterpolator([one.psnr_y for one in ordered], [log(one.nbytes) for one in ordered])
    return float(np.exp(at(psnr_y)))


def pictures(given: argparse.Namespace) -> Iterator[tuple[str, U8Array]]:
    """The pictures to encode, by name, as they are or made larger."""
    paths = sorted(path for path in given.folder.iterdir() if path.suffix in (".png", ".webp"))
    chosen = paths[given.skip :: given.every]
    if given.mosaic:
        side = int(sqrt(given.mosaic))
        for number in range(given.limit or 1):
            tiles = [_read(path) for path in chosen[number * side * side :][: side * side]]
            height, width = (min(tile.shape[axis] for tile in tiles) for axis in (0, 1))
            cut = [tile[:height, :width] for tile in tiles]
            rows = [np.hstack(cut[row * side :][:side]) for row in range(side)]
            yield f"mosaic {number}", np.vstack(rows)
    if given.enlarge > 1:
        for path in islice(chosen, given.limit):
            with Image.open(path) as image:
                size = (image.width * given.enlarge, image.height * given.enlarge)
                large = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
            yield f"{path.stem} x {given.enlarge}", np.asarray(large)
    if not given.mosaic and given.enlarge == 1:
        for path in islice(chosen, given.limit):
            yield path.stem, _read(path)


def _read(path: Path) -> U8Array:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="every so many pictures")
    parser.add_argument("--skip", type=int, default=0, help="leave out the first so many")
    parser.add_argument("--limit", type=int, help="at most so many pictures")
    parser.add_argument("--mosaic", type=int, default=0, help="pictures in one: a square number")
    parser.add_argument("--enlarge", type=int, default=1, help="times as large a side")
    parser.add_argument("--speed", type=int, default=6)
    parser.add_argument("--qualities", type=int, nargs="+", default=[25, 35, 45, 58])
    parser.add_argument("--floors", type=float, nargs="+", default=[32, 34, 36], help="dB")
    given = parser.parse_args()
    curves: dict[str, dict[str, list[Point]]] = {name: {} for name in SETTINGS}
    pixels = 0
    for key, picture in pictures(given):
        pixels += picture.shape[0] * picture.shape[1]
        for name, advanced in SETTINGS.items():
            curves[name][key] = [
                point(picture, quality, given.speed, advanced) for quality in given.qualities
            ]
        print(key, picture.shape, flush=True)
    columns = " | ".join(f"{floor:g} dB" for floor in given.floors)
    print(f"| speed {given.speed} | {columns} | CPU s/MP |")
    print("|---|" + "---:|" * (len(given.floors) + 1))
    for name in SETTINGS:
        cells = [_cell(curves, name, floor) for floor in given.floors]
        spent = [one.seconds for curve in curves[name].values() for one in curve]
        seconds = sum(spent) / len(given.qualities) / pixels * 1e6
        print(f"| {name} | {' | '.join(cells)} | {seconds:.2f} |")


def _cell(curves: dict[str, dict[str, list[Point]]], name: str, floor: float) -> str:
    total = base = 0.0
    count = 0
    for key, curve in curves[name].items():
        read = [bytes_at(other[key], floor) for other in curves.values()]
        mine, first = bytes_at(curve, floor), bytes_at(curves[BASELINE][key], floor)
        if None in read or mine is None or first is None:
            continue
        total, base, count = total + mine, base + first, count + 1
    return f"{100 * (total / base - 1):+.1f} % ({count})" if count else "–"


if __name__ == "__main__":
    main()
