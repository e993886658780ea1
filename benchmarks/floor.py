"""The planner against every single strategy, at the same floor, in stored bytes.

    python -m benchmarks.floor --sets Set5 --out results.jsonl --jobs 2
    python -m benchmarks.floor --table results.jsonl

Each strategy is tuned per image to just reach the floor, and each stored file holds its
restoration metadata. One line says what AVIF takes with a preview beside it, a file of its own of
the LR image's size. Every archived file is restored and measured again by a process that only
checks. A run that was stopped is taken up where it stopped. The sets are read from
`../shared/bench` by default.

Strategies share work: a file, an LR image or a restoration that another strategy has made of the
same image is not made again. So the run is short, and says nothing of how long a strategy takes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import Counter, defaultdict
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

from benchmarks.remembered import remembered
from rescaling_core import codecs, zoo
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Rendition, SourceRef, convert, workbench
from rescaling_core.photo import decode_photo
from rescaling_core.plan import FULL_SIZE, Candidate, Floor, ResidualPlan, Target, TargetPlan
from rescaling_core.quality import metrics
from rescaling_core.restore import restore
from rescaling_core.zoo import restorers
from tasks.plans.presets import PRESETS
from tasks.plans.toml import read_plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPO = Path(__file__).resolve().parent.parent
BENCH = REPO.parent / "shared" / "bench"
SETS = ("Set5", "Set14", "BSD100", "Urban100", "Kodak")
PLANNER, RESTRICTED = "planner", "planner, LR images only"
SLOW, SLOWER = "avif, effort 6", "avif, effort 7"
PREVIEW = CodecSpec.parse("avif-420", 40)
PREVIEWED = f"avif, and a preview ({PREVIEW}, {PREVIEW.quality})"


@dataclass(frozen=True)
class Networks:
    """Rescalers by id; restorers by id, by path, or by the digest of one of some files."""

    paths: tuple[str, ...] = ()

    def __call__(self, rescaler: str, weights_sha256: str | None = None, /) -> zoo.LoadedRescaler:
        """See `rescaling_core.convert.Models`."""
        return _rescaler(rescaler, weights_sha256)

    def restorer(self, name: str, weights_sha256: str | None = None, /) -> restorers.LoadedRestorer:
        """See `rescaling_core.convert.outcome.WithRestorers`."""
        given = (_restorer(path) for path in self.paths)
        found = (one for one in given if one.weights_sha256 == weights_sha256)
        return next(found, None) or _restorer(name, weights_sha256)


_rescaler, _restorer = lru_cache(zoo.load), lru_cache(restorers.load)


def strategies(
    floor: float,
    rescalers: list[str],
    restorer: str | None = None,
    only: Sequence[str] = (),
    *,
    enlarger: str | None = None,
    presets: Sequence[str] = (),
) -> dict[str, TargetPlan]:
    """The single strategies, all of them together, and all of those with an LR image.

    Args:
        floor: PSNR-Y, dB.
        rescalers: `ID`, `ID:codec`, `ID:codec:steps` of refinement, or
            `ID:codec:steps:quality+quality` of LR images that get a residual; for x2.
        restorer: Id of one for `avif-420`, or a path; None for no strategy with one.
        only: Names of those that are wanted; all if there are none.
        enlarger: Id of one for small `avif`, or a path; None for no strategy with one.
        presets: Their plans for x2 are strategies too.
    """

    def full(
        codec: str, low: int, high: int, effort: int | None = None, restorer: str | None = None
    ) -> Candidate:
        spec = replace(CodecSpec.parse(codec, (low + high) // 2), effort=effort)
        return Candidate(FULL_SIZE, spec, qualities=(low, high), restorer=restorer)

    residual = ResidualPlan(CodecSpec.parse("avif-420", 50), (10, 95))
    single = {
        "jpeg": [full("jpeg-420", 5, 98)],
        "webp": [full("webp", 10, 98)],
        "avif": [full("avif-420", 10, 95), full("avif", 10, 95)],
        "jxl": [full("jxl", 20, 97)],
    }
    for name in ("jpeg", "webp", "avif", "jxl"):
        single[f"{name} + filter"] = [replace(one, filter="fitted") for one in single[name]]
    efforts = {SLOW: 6, SLOWER: 7}
    for name, effort in efforts.items():
        single[name] = [full("avif-420", 10, 95, effort)]
    if restorer is not None:
        single["avif + restorer"] = [full("avif-420", 10, 95, None, restorer)]
        single["avif + restorer + filter"] = [
            replace(one, filter="fitted") for one in single["avif + restorer"]
        ]
        for name, effort in efforts.items():
            single[f"{name} + restorer"] = [full("avif-420", 10, 95, effort, restorer)]
    luma = replace(residual, luma=True)
    colour = CodecSpec.parse("avif", 20)
    small = {
        "LR + residual": [
            Candidate("lanczos", CodecSpec.parse("avif-420", quality), residual=residual)
            for quality in (15, 30)
        ],
        "LR + luma residual": [Candidate("lanczos", colour, residual=luma)],
    }
    if enlarger is not None:
        name = "LR + luma residual + enlarger"
        small[name] = [Candidate("lanczos", colour, residual=luma, restorer=enlarger)]
    for text in rescalers:
        name, codec, steps, bases = (*text.split(":"), *[""] * 3)[:4]
        spec, refinement = CodecSpec.parse(codec or "avif", 65), int(steps or 0)
        one = Candidate(name, spec, qualities=(5, 98), refinement=refinement)
        ones = [
            replace(one, codec=replace(spec, quality=int(base)), qualities=None, residual=residual)
            for base in bases.split("+")
            if base
        ] or [one]
        small[ones[0].strategy] = ones
    plans = single | small
    plans[RESTRICTED] = [one for ones in small.values() for one in ones]
    # What is likely to win comes first: the search of what follows is then short.
    plans[PLANNER] = [
        *single.get("avif + restorer", single["avif"]),
        *single["webp"],
        *plans[RESTRICTED],
        *single["jxl"],
        *single["jpeg"],
    ]
    wanted = Floor(psnr_y=floor)
    made = {
        name: TargetPlan(target=Target(scale=2.0), candidates=tuple(ones), floor=wanted)
        for name, ones in plans.items()
        if not only or name in only
    }
    for preset in presets:
        plan = read_plan(PRESETS[preset], name=preset, floor=wanted)
        made[f"preset {preset}"] = next(one for one in plan.targets if one.target.scale == 2)
    return made


@contextmanager
def shared_work() -> Iterator[None]:
    """Within it, what was made once of the same pixels in the same way is not made again."""
    with (
        mock.patch.object(codecs, "encode", remembered(codecs.encode)),
        mock.patch.object(workbench, "downscale_pixels", remembered(workbench.downscale_pixels)),
        mock.patch.object(workbench, "refine_pixels", remembered(workbench.refine_pixels)),
        mock.patch.object(workbench, "restore_pixels", remembered(workbench.restore_pixels)),
    ):
        yield


def measure_image(
    path: Path,
    key: str,
    floor: float,
    plans: dict[str, TargetPlan],
    folder: Path,
    networks: Networks,
) -> dict[str, Any]:
    """Convert one image by every strategy; the files lie in `folder`, named by their digests."""
    torch.set_num_threads(1)
    data = path.read_bytes()
    photo = decode_photo(data)
    # A lossless benchmark file says nothing of what a source would weigh; do not let it limit.
    limit = photo.width * photo.height * 3
    ref = SourceRef(key=key, etag="", size=limit, sha256=hashlib.sha256(data).hexdigest())
    cells: dict[str, Any] = {}
    with shared_work():
        for name, plan in plans.items():
            started = time.process_time()
            outcome = convert(photo, ref, plan, networks, software="refold benchmark", data=data)
            if isinstance(outcome, Rendition):
                digest = hashlib.sha256(outcome.lr_data).hexdigest()
                (folder / digest).write_bytes(outcome.lr_data)
                found = outcome.metadata
                cells[name] = {"bytes": len(outcome.lr_data), "file": digest}
                cells[name] |= {"tried": found.tried, "psnr_y": found.psnr_y}
                cells[name] |= {"seconds": round(time.process_time() - started, 2)}
                cells[name] |= {"strategy": found.strategy, "quality": found.quality}
            else:
                cells[name] = {"kept": outcome.reason, "tried": outcome.tried}
    pixels = photo.width * photo.height
    return {"key": key, "floor": floor, "pixels": pixels, "source": len(data), "cells": cells}


def check(path: Path, row: dict[str, Any], folder: Path, networks: Networks) -> dict[str, Any]:
    """Restore what was stored, knowing nothing but the files, and measure it."""
    torch.set_num_threads(1)
    reference = decode_photo(path.read_bytes()).pixels
    measured: dict[str, float] = {}
    for cell in row["cells"].values():
        if (digest := cell.get("file")) is None:
            continue
        if digest not in measured:
            restored = restore((folder / digest).read_bytes(), networks).pixels
            measured[digest] = metrics.psnr_y(restored, reference)
        cell["psnr_y_restored"] = measured[digest]
    return row


def run(given: argparse.Namespace) -> None:
    """Measure what is not yet in the file of results."""
    lines = given.out.read_text("utf-8").splitlines() if given.out.exists() else []
    rows = [json.loads(line) for line in lines]
    plans = strategies(
        given.floor,
        given.rescalers,
        given.restorer,
        given.only,
        enlarger=given.enlarger,
        presets=given.presets,
    )
    wanted = (given.floor, list(plans))
    if any((row["floor"], list(row["cells"])) != wanted for row in rows):
        raise SystemExit(f"{given.out} holds results of another floor or other strategies")
    named = (given.restorer, given.enlarger)
    networks = Networks(tuple(one for one in named if (one or "").endswith(".safetensors")))
    done = {row["key"] for row in rows}
    paths = {
        f"{name}/{path.stem}": path
        for name in given.sets
        for path in sorted((given.bench / name).iterdir())[:: given.every][: given.limit]
    }
    spawn = get_context("spawn")
    with (
        TemporaryDirectory() as temporary,
        ProcessPoolExecutor(given.jobs, mp_context=spawn) as converters,
        ProcessPoolExecutor(1, mp_context=spawn) as checkers,
    ):
        folder = Path(temporary)
        checks: list[Future[dict[str, Any]]] = []
        conversions = {
            converters.submit(measure_image, path, key, given.floor, plans, folder, networks): path
            for key, path in paths.items()
            if key not in done
        }
        for converted in as_completed(conversions):
            row, path = converted.result(), conversions[converted]
            checks.append(checkers.submit(check, path, row, folder, networks))
            checks[-1].add_done_callback(lambda future: _write(given.out, future))
            print(row["key"], {who: cell.get("bytes") for who, cell in row["cells"].items()})
        for one in checks:
            one.result()


def _write(out: Path, checked: Future[dict[str, Any]]) -> None:
    if checked.exception() is None:
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(checked.result()) + "\n")


def preview_bytes(path: Path) -> int:
    """What a preview of half the size takes, made by a plain filter."""
    with Image.open(path) as image:
        size = (ceil(image.width / 2), ceil(image.height / 2))
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    return len(codecs.encode(np.asarray(small), PREVIEW))


def table(path: Path, bench: Path) -> str:
    """The totals, set by set, as Markdown."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    by_set: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_set[row["key"].split("/")[0]].append(row)
    ordered = sorted(by_set, key=lambda name: SETS.index(name) if name in SETS else len(SETS))
    lines = []
    for name in ordered:
        images = by_set[name]
        floor, pixels = images[0]["floor"], sum(image["pixels"] for image in images)
        first = PLANNER if PLANNER in images[0]["cells"] else next(iter(images[0]["cells"]))
        lines += [
            f"**{name}**, {len(images)} images, floor {floor:g} dB:",
            "",
            f"| strategy | stored bytes | bits a pixel | against {first} | reached | kept "
            "| lowest PSNR-Y, restored again |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        files = {f"{name}/{file.stem}": file for file in (bench / name).iterdir()}
        for image in images:
            if "bytes" not in (avif := image["cells"].get("avif", {})):
                continue
            total = avif["bytes"] + preview_bytes(files[image["key"]])
            image["cells"][PREVIEWED] = avif | {"bytes": total}
        lines += [_line(strategy, images, pixels, first) for strategy in images[0]["cells"]]
        lines.append("")
        for who in images[0]["cells"].keys() & {PLANNER, RESTRICTED}:
            wins = Counter(image["cells"][who].get("strategy", "kept") for image in images)
            won = ", ".join(f"{strategy} {count}" for strategy, count in wins.most_common())
            lines += [f"The {who} chose: {won}.", ""]
    return "\n".join(lines)


def _line(strategy: str, images: list[dict[str, Any]], pixels: int, first: str) -> str:
    reached = [image for image in images if "bytes" in image["cells"][strategy]]
    cells = [image["cells"][strategy] for image in reached]
    kept = len(images) - len(reached)
    count = sum(cell["bytes"] for cell in cells)
    planner = sum(image["cells"][first].get("bytes", 0) for image in reached)
    lowest = min((cell["psnr_y_restored"] for cell in cells), default=float("nan"))
    ratio = f"{100 * (count / planner - 1):+.1f} %" if planner else "–"
    if kept:  # totals over other images cannot be compared; the ratio is of the same images
        total, bits, ratio = "–", "–", f"{ratio} on the {len(reached)} reached"
    else:
        total, bits = f"{count:,}", f"{8 * count / pixels:.3f}"
    return f"| {strategy} | {total} | {bits} | {ratio} | {len(reached)} | {kept} | {lowest:.3f} |"


def main() -> None:
    """Measure, or print the table of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--bench", type=Path, default=BENCH, help="folder with a folder a set")
    parser.add_argument("--floor", type=float, default=34, help="PSNR-Y, dB")
    parser.add_argument(
        "--restorer", help="id or path of one for avif-420; by default no strategy has one"
    )
    parser.add_argument("--enlarger", help="id or path of one for avif, with its final filter")
    parser.add_argument("--presets", nargs="*", default=[], help="plans that ship, by name")
    parser.add_argument("--only", nargs="*", default=[], help="strategies, by their names")
    parser.add_argument("--every", type=int, default=1, help="every so many images of each set")
    parser.add_argument(
        "--rescalers", nargs="*", default=["irn-x2-lite"], metavar="ID[:CODEC[:STEPS[:BASES]]]"
    )
    parser.add_argument("--limit", type=int, help="the first so many images of each set")
    parser.add_argument("--jobs", type=int, default=1, help="images at once, a core each")
    parser.add_argument("--out", type=Path, default=Path("floor.jsonl"))
    parser.add_argument("--table", type=Path, metavar="RESULTS", help="only print the table")
    given = parser.parse_args()
    if given.table is None:
        run(given)
    print(table(given.table or given.out, given.bench))


if __name__ == "__main__":
    main()
