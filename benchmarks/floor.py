"""The planner against every single strategy, at the same floor, in stored bytes.

    python benchmarks/floor.py --sets Set5 --out results.jsonl
    python benchmarks/floor.py --table results.jsonl

Each strategy is tuned per image to just reach the floor, and each stored file holds its
restoration metadata. Every archived file is restored and measured again in a fresh process. A set
that was begun is taken up where it stopped. The sets are read from `../shared/bench` by default.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from rescaling_core import metrics, zoo
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.photo import decode_photo
from rescaling_core.plan import Candidate, TargetPlan
from rescaling_core.restore import restore
from tasks.plan_file import read_plan
from tasks.presets import BALANCED

REPO = Path(__file__).resolve().parent.parent
BENCH = REPO.parent / "shared" / "bench"
JPEG = '{ rescaler = "none", codec = "jpeg-420", quality = { min = 5, max = 98 } },'

load = lru_cache(zoo.load)


def strategies(floor: float) -> dict[str, TargetPlan]:
    """The preset `balanced` and JPEG, taken apart: each single strategy, and all of them."""
    text = BALANCED.replace("psnr_y = 34", f"psnr_y = {floor:g}")
    text = text.replace("candidates = [", f"candidates = [\n{JPEG}", 1)
    whole = read_plan(text, name="benchmark").targets[0]

    def only(*names: str) -> TargetPlan:
        chosen = tuple(one for one in whole.candidates if _strategy(one) in names)
        return TargetPlan(target=whole.target, candidates=chosen, floor=whole.floor)

    names = list(dict.fromkeys(_strategy(one) for one in whole.candidates))
    single = {name: only(name) for name in names if name != "transcode"}
    return single | {"planner": whole}


def _strategy(candidate: Candidate) -> str:
    if candidate.residual is not None:
        return "LR + residual"
    return {"none": str(candidate.codec), "jpeg-transcode": "transcode"}.get(
        candidate.rescaler, f"{candidate.rescaler}, {candidate.codec}"
    )


def measure_image(path: Path, key: str, plans: dict[str, TargetPlan]) -> dict[str, Any]:
    """Convert one image by every strategy, and check what was stored in a fresh process."""
    data = path.read_bytes()
    photo = decode_photo(data)
    # A lossless benchmark file says nothing of what a source would weigh; do not let it limit.
    limit = photo.width * photo.height * 3
    ref = SourceRef(key=key, etag="", size=limit, sha256=hashlib.sha256(data).hexdigest())
    cells: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        stored = {}
        for name, plan in plans.items():
            started = time.perf_counter()
            outcome = convert(photo, ref, plan, load, software="refold benchmark", data=data)
            cell: dict[str, Any] = {"seconds": round(time.perf_counter() - started, 2)}
            if isinstance(outcome, Rendition):
                found = outcome.metadata
                cell |= {"bytes": len(outcome.lr_data), "psnr_y": found.psnr_y}
                cell |= {"tried": found.tried, "codec": found.codec, "quality": found.quality}
                cell |= {"rescaler": found.rescaler, "residual": found.residual is not None}
                stored[name] = Path(folder, f"{len(stored)}{outcome.extension}")
                stored[name].write_bytes(outcome.lr_data)
            else:
                cell |= {"kept": outcome.reason, "tried": outcome.tried}
            cells[name] = cell
        for name, psnr_y in zip(stored, restored_again(path, list(stored.values())), strict=True):
            cells[name]["psnr_y_restored"] = psnr_y
    return {"key": key, "pixels": photo.width * photo.height, "source": len(data), "cells": cells}


def restored_again(source: Path, files: list[Path]) -> list[float]:
    """PSNR-Y (dB) of files restored from storage by a process that knows nothing else."""
    command = [sys.executable, __file__, "--check", str(source), *map(str, files)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def check(source: Path, files: list[Path]) -> None:
    """What the fresh process does."""
    reference = decode_photo(source.read_bytes()).pixels
    for path in files:
        print(metrics.psnr_y(restore(path.read_bytes(), load).pixels, reference))


def table(path: Path) -> str:
    """The totals, set by set, as Markdown."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    by_set: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_set[row["key"].split("/")[0]].append(row)
    lines = []
    for name, images in by_set.items():
        floor, pixels = images[0]["floor"], sum(image["pixels"] for image in images)
        lines += [
            f"**{name}**, {len(images)} images, floor {floor:g} dB:",
            "",
            "| strategy | stored bytes | bits a pixel | against the planner | reached | kept "
            "| lowest PSNR-Y, restored again | seconds |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        lines += [_line(strategy, images, pixels) for strategy in images[0]["cells"]]
        wins: dict[str, int] = defaultdict(int)
        for image in images:
            cell = image["cells"]["planner"]
            wins[_winner(cell) if "bytes" in cell else "kept"] += 1
        won = ", ".join(f"{who} {count}" for who, count in sorted(wins.items()))
        lines += ["", f"The planner chose: {won}.", ""]
    return "\n".join(lines)


def _line(strategy: str, images: list[dict[str, Any]], pixels: int) -> str:
    cells = [image["cells"][strategy] for image in images]
    seconds = sum(cell["seconds"] for cell in cells)
    reached = [cell for cell in cells if "bytes" in cell]
    kept = len(cells) - len(reached)
    lowest = min((cell["psnr_y_restored"] for cell in reached), default=float("nan"))
    if kept:  # totals over other images cannot be compared
        total = ratio = bits = "–"
    else:
        count = sum(cell["bytes"] for cell in cells)
        planner = sum(image["cells"]["planner"].get("bytes", 0) for image in images)
        total, bits = f"{count:,}", f"{8 * count / pixels:.3f}"
        ratio = f"{100 * (count / planner - 1):+.1f} %" if planner else "–"
    return (
        f"| {strategy} | {total} | {bits} | {ratio} | {len(reached)} | {kept} | {lowest:.3f} "
        f"| {seconds:.0f} |"
    )


def _winner(cell: dict[str, Any]) -> str:
    if cell["rescaler"] == "none":
        return str(cell["codec"])
    return f"{cell['rescaler']} {cell['codec']}" + (" + residual" if cell["residual"] else "")


def main() -> None:
    """Measure, or print the table of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=["Set5", "Set14", "BSD100", "Kodak"])
    parser.add_argument("--bench", type=Path, default=BENCH, help="folder with a folder a set")
    parser.add_argument("--floor", type=float, default=34, help="PSNR-Y, dB")
    parser.add_argument("--limit", type=int, help="the first so many images of each set")
    parser.add_argument("--out", type=Path, default=Path("floor.jsonl"))
    parser.add_argument("--table", type=Path, metavar="RESULTS", help="only print the table")
    parser.add_argument("--check", type=Path, nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.check:
        check(given.check[0], given.check[1:])
        return
    if given.table:
        print(table(given.table))
        return
    plans = strategies(given.floor)
    lines = given.out.read_text("utf-8").splitlines() if given.out.exists() else []
    done = {json.loads(line)["key"] for line in lines}
    for name in given.sets:
        for path in sorted((given.bench / name).iterdir())[: given.limit]:
            key = f"{name}/{path.stem}"
            if key in done:
                continue
            row = measure_image(path, key, plans) | {"floor": given.floor}
            with given.out.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
            cells = row["cells"].items()
            print(key, {strategy: cell.get("bytes") for strategy, cell in cells}, flush=True)
    print(table(given.out))


if __name__ == "__main__":
    main()
