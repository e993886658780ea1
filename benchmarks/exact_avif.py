"""What AVIF would take if it could reach a floor exactly: the strongest rival there can be.

    python -m benchmarks.exact_avif --sets Kodak --efforts default 6 7

A file lands above its floor, since qualities come in steps, and those of an archive hold
restoration metadata. Here each picture's curve is read at the very floor, by a monotone cubic of
the logarithm of bytes through the two qualities on either side, and files hold nothing but
pixels. No file that can be stored is as small. Sets are read from `../shared/bench` by default.
"""

from __future__ import annotations

import argparse
import time
from functools import cache
from math import log
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from scipy.interpolate import PchipInterpolator

from benchmarks.floor import BENCH
from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert.search import lowest_enough
from rescaling_core.quality import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.pixels.arrays import U8Array

LOWEST, HIGHEST = 5, 98
AROUND = (-2, -1, 0, 1)
"""Qualities whose files the curve goes through, beside the lowest that reaches the floor."""

Point = tuple[float, int]
"""PSNR-Y, dB, and bytes."""


def point_of(pixels: U8Array, effort: int | None) -> Callable[[int], Point]:
    """Gives what a quality comes to; each is coded once."""

    @cache
    def point(quality: int) -> Point:
        data = codecs.encode(pixels, CodecSpec("avif", quality, "4:2:0", effort=effort))
        return metrics.psnr_y(codecs.decode(data), pixels), len(data)

    return point


def exact_bytes(point: Callable[[int], Point], floor: float, start: int) -> tuple[float, int]:
    """Bytes at the very floor, and the lowest quality that reaches it.

    Raises:
        ValueError: No quality reaches the floor.
    """
    found = lowest_enough(LOWEST, HIGHEST, lambda quality: point(quality)[0] - floor, start=start)
    if found is None:
        raise ValueError(f"no quality up to {HIGHEST} reaches {floor:g} dB")
    # Some qualities give the same file, and a curve needs each PSNR once.
    near = dict(point(min(max(found + step, LOWEST), HIGHEST)) for step in AROUND)
    curve = PchipInterpolator(sorted(near), [log(near[one]) for one in sorted(near)])
    return float(np.exp(curve(floor))), found


def main() -> None:
    """Print the totals, set by set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=["Kodak"])
    parser.add_argument("--bench", type=Path, default=BENCH, help="folder with a folder a set")
    parser.add_argument("--floor", type=float, default=34, help="PSNR-Y, dB")
    parser.add_argument("--efforts", nargs="+", default=["default", "6"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| set | pictures | effort | bytes at the very floor | CPU s |\n|---|---:|---|---:|---:|")
    for name in given.sets:
        paths = sorted(path for path in (given.bench / name).iterdir() if path.is_file())
        starts = [50] * len(paths)
        for text in given.efforts:
            effort, total = None if text == "default" else int(text), 0.0
            started = time.process_time()
            for at, path in enumerate(paths):
                with Image.open(path) as image:
                    pixels = np.asarray(image.convert("RGB"))
                found, starts[at] = exact_bytes(point_of(pixels, effort), given.floor, starts[at])
                total += found
            seconds = time.process_time() - started
            print(f"| {name} | {len(paths)} | {text} | {total:,.0f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
