"""Peak resident memory of converting and restoring large images on the CPU.

    python benchmarks/memory.py 4000x3000 8000x6000 20000x6000
    python benchmarks/memory.py 4000x3000 --rescaler irn-x4-lite --source-format JPEG --codec webp

The images are tiled from photographs. Converting (source file → LR file) and restoring (LR file →
restored PNG file) run in a process of their own each, which reports its peak as the kernel counts
it (VmHWM). What a process holds before it sees an image, torch and the network, is told apart.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import skimage.data
import torch
from PIL import Image

from rescaling_core import zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.photo import decode_photo, encode_photo
from rescaling_core.plan import Candidate, Floor, Target, TargetPlan
from rescaling_core.restore import restore

if TYPE_CHECKING:
    from rescaling_core.zoo import LoadedRescaler

SAMPLES = ("astronaut", "chelsea", "coffee", "rocket")
TILE = 256
"""Pixels."""

_LOADED: dict[str, LoadedRescaler] = {}
"""By name and by digest."""


def load(rescaler: str, weights_sha256: str | None = None) -> LoadedRescaler:
    """Load a rescaler once. What a record names by digest is the one that was loaded before."""
    found = _LOADED.get(weights_sha256 or rescaler) or zoo.load(rescaler)
    _LOADED[rescaler] = _LOADED[found.weights_sha256] = found
    return found


def write_source(path: Path, width: int, height: int, format: str) -> None:
    """Cover a canvas with parts of photographs, turned and flipped by chance."""
    chance = np.random.default_rng(0)
    photographs = [getattr(skimage.data, name)() for name in SAMPLES]
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            photograph = photographs[chance.integers(len(photographs))]
            y, x = (int(chance.integers(side - TILE + 1)) for side in photograph.shape[:2])
            tile = np.rot90(photograph[y : y + TILE, x : x + TILE], int(chance.integers(4)))
            place = pixels[top : top + TILE, left : left + TILE]
            place[:] = tile[: place.shape[0], : place.shape[1]]
    options = {"compress_level": 1} if format == "PNG" else {}
    Image.fromarray(pixels).save(path, format, **options)


def convert_file(source: Path, lr_file: Path, rescaler: str, codec: str) -> dict[str, Any]:
    """Make the rendition of a file by one candidate; what the fresh process does."""
    floor, candidate = Floor(), Candidate(rescaler, CodecSpec.parse(codec))
    scales = load(rescaler).rescaler.scales
    target = next(Target(scale=scale) for scale in (2.0, 4.0) if scale in scales)
    plan = TargetPlan(target=target, candidates=(candidate,), floor=floor)
    before, started = _memory("VmRSS"), time.perf_counter()
    data = source.read_bytes()
    ref = SourceRef(
        key=source.name, etag="", size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    outcome = convert(decode_photo(data), ref, plan, load, software="benchmark", data=data)
    if not isinstance(outcome, Rendition):
        raise SystemExit(f"{source.name} is kept: {outcome.reason}")
    lr_file.write_bytes(outcome.lr_data)
    return {"psnr_y": outcome.metadata.psnr_y} | _peak(before, started)


def restore_file(lr_file: Path, output: Path, rescaler: str) -> dict[str, Any]:
    """Restore an LR file; what the fresh process does."""
    load(rescaler)
    before, started = _memory("VmRSS"), time.perf_counter()
    output.write_bytes(encode_photo(restore(lr_file.read_bytes(), load)))
    return _peak(before, started)


def _peak(before: int, started: float) -> dict[str, Any]:
    seconds = round(time.perf_counter() - started, 1)
    return {"before": before, "peak": _memory("VmHWM"), "seconds": seconds}


def _memory(name: str) -> int:
    """Of this process, in bytes. Linux only."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    if found is None:
        raise SystemExit(f"/proc/self/status does not tell {name}")
    return int(found[1]) * 1024


def measure(
    width: int, height: int, *, rescaler: str, codec: str, source_format: str = "PNG"
) -> dict[str, dict[str, Any]]:
    """Convert and restore an image of a size, each in a fresh process.

    Returns:
        For `convert` and `restore`: `before` and `peak` in bytes, `seconds`.
    """
    with TemporaryDirectory() as folder:
        source, lr_file, restored = (Path(folder, name) for name in ("source", "lr", "restored"))
        write_source(source, width, height, source_format)
        converted = _fresh("convert", str(source), str(lr_file), rescaler, codec)
        return {
            "convert": converted,
            "restore": _fresh("restore", str(lr_file), str(restored), rescaler),
        }


def _fresh(*arguments: str) -> Any:
    command = [sys.executable, __file__, "--step", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def _step(name: str, *arguments: str) -> Any:
    torch.set_num_threads(1)
    first, second, *rest = arguments
    work = {"convert": convert_file, "restore": restore_file}[name]
    return work(Path(first), Path(second), *rest)


def main() -> None:
    """Print a table: one line a size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sizes", nargs="*", default=["4000x3000"], metavar="WIDTHxHEIGHT")
    parser.add_argument("--rescaler", default="irn-x2-lite", help="an id, or a weights file")
    parser.add_argument("--codec", default="png", help="of the LR file")
    parser.add_argument("--source-format", default="PNG", help="as Pillow names it")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(_step(*given.step)))
        return
    print("| image | megapixels | step | before | peak | bytes a pixel | seconds |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for size in given.sizes:
        width, height = (int(side) for side in size.split("x"))
        found = measure(
            width,
            height,
            rescaler=given.rescaler,
            codec=given.codec,
            source_format=given.source_format,
        )
        for step, row in found.items():
            grown = (row["peak"] - row["before"]) / (width * height)
            print(
                f"| {size} | {width * height / 1e6:.0f} | {step} | {row['before'] / 2**20:.0f} MiB "
                f"| {row['peak'] / 2**20:.0f} MiB | {grown:.1f} | {row['seconds']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
