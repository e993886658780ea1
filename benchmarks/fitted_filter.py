"""What a filter fitted to each picture gives: a trained network's rival that needs no weights.

    python -m benchmarks.fitted_filter --sets Kodak --every 6

The luma of a decoded picture is filtered towards the source's by point-symmetric filters, one a
class of pixels, as adaptive loop filters of video codecs are: least squares over the whole picture,
coefficients in 1/128. Classes are by local activity (quantiles) and by direction. Each is tried
behind the decoder, and behind a restorer. Gains are in dB of PSNR-Y before rounding to 8 bits; what
the coefficients would cost is told in bytes, one each.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

from benchmarks.restorers import BENCH, pictures_of
from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.quality.metrics import luma
from rescaling_core.rescale.decoded import restore_decoded
from rescaling_core.zoo import restorers

Plane = NDArray[np.float64]

UNIT = 128
"""Coefficients are whole numbers of 1/128."""
FEWEST = 200
"""Pixels of a class for which a filter is fitted."""


@dataclass(frozen=True)
class Design:
    """How many filters of what size."""

    radius: int
    """Of the diamond of taps."""
    activities: int
    directions: int
    """1, 3 (flat, rows or columns, diagonal) or 5 (each direction by itself)."""


DESIGNS = (Design(3, 5, 5), Design(3, 4, 3), Design(2, 4, 3), Design(2, 3, 1), Design(3, 1, 1))


def differences(picture: Plane, radius: int) -> Plane:
    """Of every pixel's neighbours, by opposite pairs, from the pixel itself: (H, W, pairs)."""
    height, width = picture.shape
    padded = np.pad(picture, radius, mode="edge")

    def moved(y: int, x: int) -> Plane:
        return padded[radius + y : radius + y + height, radius + x : radius + x + width]

    side = range(-radius, radius + 1)
    half = [(y, x) for y in side for x in side if (y, x) > (0, 0) and abs(y) + abs(x) <= radius]
    return np.stack([moved(y, x) + moved(-y, -x) - 2 * picture for y, x in half], axis=-1)


def classes(picture: Plane, design: Design) -> NDArray[np.int64]:
    """Which filter each pixel gets."""
    height, width = picture.shape
    padded = np.pad(picture, 1, mode="edge")

    def bend(y: int, x: int) -> Plane:
        one = padded[1 + y : 1 + y + height, 1 + x : 1 + x + width]
        other = padded[1 - y : 1 - y + height, 1 - x : 1 - x + width]
        return uniform_filter(np.abs(2 * picture - one - other), 5, mode="nearest")

    across, down, falling, rising = bend(0, 1), bend(1, 0), bend(1, 1), bend(1, -1)
    activity = across + down
    bounds = np.quantile(activity, np.linspace(0, 1, design.activities + 1)[1:-1])
    found = np.searchsorted(bounds, activity.ravel()).reshape(activity.shape)
    if design.directions == 1:
        return found
    straight = np.maximum(across, down) / (np.minimum(across, down) + 1 / 25)
    slanted = np.maximum(falling, rising) / (np.minimum(falling, rising) + 1 / 25)
    which = np.where(
        straight > slanted, np.where(across > down, 1, 2), np.where(falling > rising, 3, 4)
    )
    which = np.where(np.maximum(straight, slanted) > 1.5, which, 0)
    if design.directions == 3:
        which = np.array([0, 1, 1, 2, 2])[which]
    return found * design.directions + which


def fitted(picture: Plane, source: Plane, design: Design) -> tuple[Plane, int]:
    """Filter a picture towards its source.

    Returns:
        What it becomes, and how many coefficients that takes.
    """
    seen, missing = differences(picture, design.radius), source - picture
    which = classes(picture, design)
    better, coefficients = picture.copy(), 0
    for one in range(design.activities * design.directions):
        mask = which == one
        if np.count_nonzero(mask) < FEWEST:
            continue
        inputs, wanted = seen[mask], missing[mask]
        square = inputs.T @ inputs + 1e-3 * len(inputs) * np.eye(inputs.shape[1])
        filter_ = np.round(np.linalg.solve(square, inputs.T @ wanted) * UNIT) / UNIT
        change = inputs @ filter_
        if np.sum((wanted - change) ** 2) < np.sum(wanted**2):
            better[mask] += change
            coefficients += len(filter_)
    return better, coefficients


def psnr(one: Plane, other: Plane) -> float:
    """In dB, of planes with values 0 to 255."""
    return float(10 * np.log10(255**2 / np.mean((one - other) ** 2)))


def main() -> None:
    """Print a table: a line for each picture and quality, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--bench", type=Path, default=BENCH)
    parser.add_argument("--sets", nargs="*", default=["Kodak"])
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture")
    parser.add_argument("--codec", default="avif-420")
    parser.add_argument("--effort", type=int)
    parser.add_argument("--qualities", nargs="*", type=int, default=[35, 50])
    parser.add_argument("--restorer", default="restorer-avif-lite", help="none: leave it out")
    given = parser.parse_args()
    network = None if given.restorer == "none" else restorers.load(given.restorer).network
    names = [f"r{d.radius} {d.activities}x{d.directions}" for d in DESIGNS]
    columns = ["picture", "quality", "bytes", "PSNR-Y", "restorer", *names]
    columns += [] if network is None else [f"restorer, {name}" for name in names]
    print(f"| {' | '.join(columns)} |\n| --- |{' ---: |' * (len(columns) - 1)}")
    rows = []
    for folder in given.sets:
        for path in pictures_of(given.bench / folder)[:: given.every]:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            for quality in given.qualities:
                spec = CodecSpec.parse(given.codec, quality)
                spec = CodecSpec(spec.name, spec.quality, spec.chroma, given.effort)
                data = codecs.encode(pixels, spec)
                decoded = codecs.decode(data, channels=3)
                source, plain = luma(pixels), luma(decoded)
                before = psnr(plain, source)
                filters = [fitted(plain, source, design) for design in DESIGNS]
                gains = [psnr(picture, source) - before for picture, _ in filters]
                restored_gain = 0.0
                if network is not None:
                    restored = luma(restore_decoded(decoded, quality, network))
                    restored_gain = psnr(restored, source) - before
                    behind = [fitted(restored, source, design)[0] for design in DESIGNS]
                    gains += [psnr(one, source) - before - restored_gain for one in behind]
                rows.append([len(data), before, restored_gain, *gains])
                cells = [path.stem, str(quality), str(len(data)), f"{before:.2f}"]
                print(f"| {' | '.join(cells + [f'{v:+.3f}' for v in rows[-1][2:]])} |", flush=True)
    nbytes, before, *means = np.mean(rows, axis=0)
    cells = ["mean", "", f"{nbytes:.0f}", f"{before:.2f}", *(f"{mean:+.3f}" for mean in means)]
    print(f"| {' | '.join(cells)} |")
    sizes = [d.activities * d.directions * (d.radius * (d.radius + 1)) for d in DESIGNS]
    print(
        "coefficients at most: " + ", ".join(f"{n}: {s}" for n, s in zip(names, sizes, strict=True))
    )


if __name__ == "__main__":
    main()
