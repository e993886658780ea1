"""Where the time of a whole run goes: rescaling, decoding, encoding, and all the rest.

    python -m benchmarks.pipeline [--rescaler irn-x2-lite] [--codec png] [--json FILE]

Archives photographs of 1 to 12 megapixels from a folder into another, one size at a time: listing,
planning, conversion as a worker does it, and the commits, in this process and without Ray and
Prefect, whose start a long run does not feel. Times are CPU seconds of the process, so other work
on the machine disturbs them little. Overhead is what is neither rescaling, decoding nor encoding.
The last columns are the latency of restoring one image from the archive (wall-clock, network and
all), and the peak of resident memory.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import skimage.data
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine, peak_bytes, reset_peak
from rescaling_core.restore import restore
from tasks.catalog import open_catalog
from tasks.jobs.archive import steps as archiving
from tasks.jobs.archive.worker import ConversionJob, ShardConverter
from tasks.models.lookup import Models
from tasks.plans.options import PlanOptions, build_plan
from tasks.renditions.files import read_lr
from tasks.storage import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES = {
    "rescale": (
        "rescaling_core.convert.workbench.downscale_pixels",
        "rescaling_core.convert.workbench.restore_pixels",
    ),
    "decode": ("tasks.jobs.archive.worker.decode_photo", "rescaling_core.codecs.decode"),
    "encode": ("rescaling_core.codecs.encode",),
    "measure": (
        "rescaling_core.metadata.measured",
        "rescaling_core.convert.workbench.measure_all",
    ),
    "commit": ("tasks.catalog.Catalog.commit_shards",),
}
"""Functions whose time counts as a stage's, less that of stages inside them."""

WORK = ("rescale", "decode", "encode")
SIZES = {1.0: 8, 4.0: 4, 12.0: 2}
"""Megapixels of an image: how many."""


@dataclass(slots=True)
class Stopwatch:
    """CPU seconds by stage, each without those of the stages it calls."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _open: list[str] = field(default_factory=lambda: ["rest"])
    _since: float = field(default_factory=time.process_time)

    def switch(self, stage: str | None) -> None:
        """Enter a stage; None leaves the last one entered."""
        now = time.process_time()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now
        if stage is None:
            self._open.pop()
        else:
            self._open.append(stage)

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, its time counted."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.switch(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self.switch(None)

        return call


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One size of image."""

    megapixels: float
    images: int
    seconds: dict[str, float]
    """CPU seconds by stage."""
    overhead: float
    """The share that is neither rescaling, decoding nor encoding."""
    mpix_per_cpu_second: float
    restore_ms_per_mpix: float
    """Wall-clock, of restoring one image from its LR object."""
    peak_mib: float


def main() -> None:
    """Measure every size, print, and save."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rescaler", default="irn-x2-lite")
    parser.add_argument("--codec", default="png")
    parser.add_argument("--megapixels", type=float, action="append", help="by default 1, 4 and 12")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sizes = given.megapixels or list(SIZES)
    measure(0.1, 1, given.rescaler, given.codec)  # loads and compiles what later runs find ready
    rows = [measure(size, SIZES.get(size, 2), given.rescaler, given.codec) for size in sizes]
    Console(width=140).print(_table(rows, f"{given.rescaler}, {given.codec}"))
    facts = machine(torch.device("cpu"))
    print(facts)
    if given.json:
        report = {"machine": facts, "rescaler": given.rescaler, "codec": given.codec}
        report["rows"] = [asdict(row) for row in rows]
        given.json.write_text(json.dumps(report, indent=1), "utf-8")


def measure(megapixels: float, images: int, rescaler: str, codec: str) -> Row:
    """Archive a folder of `images` photographs of one size, and restore one."""
    with TemporaryDirectory() as name, ExitStack() as patches:
        folder = Path(name)
        pixels = _write_photographs(folder / "photos", megapixels, images)
        plan = build_plan(PlanOptions(targets=("x2",), rescalers=(rescaler,), codec=codec))
        job = ConversionJob(
            source_url=str(folder / "photos"),
            archive_url=str(folder / "archive"),
            plan=plan,
            run_id="benchmark",
        )
        reset_peak(torch.device("cpu"))
        watch = Stopwatch()
        for stage, names in STAGES.items():
            for target in names:
                patches.enter_context(_patched(target, watch, stage))
        archive = open_store(job.archive_url)
        catalog = open_catalog(archive)
        source = open_store(job.source_url)
        pending = archiving.find_pending.fn(source, catalog, plan)
        worker = ShardConverter(job)
        for shard in archiving.shards_of(pending, plan, workers=1):
            catalog.commit_shard(shard.shard_id, worker.convert(shard).rows)
        watch.switch("end")
        peak = peak_bytes(torch.device("cpu"))
        (row, *_) = catalog.rows(state="archived")
        assert row.lr_key
        started = time.perf_counter()
        restore(read_lr(archive, row.place), Models(archive))
        latency = time.perf_counter() - started
    total = sum(watch.seconds.values())
    return Row(
        megapixels=megapixels,
        images=images,
        seconds=dict(watch.seconds),
        overhead=1 - sum(watch.seconds[stage] for stage in WORK) / total,
        mpix_per_cpu_second=pixels / 1e6 / total,
        restore_ms_per_mpix=latency * 1e3 / (pixels / images / 1e6),
        peak_mib=peak / 2**20,
    )


def _patched(target: str, watch: Stopwatch, stage: str) -> Any:
    """A patch of the function at a dotted path."""
    patcher: Any = patch(target)
    original = getattr(patcher.getter(), patcher.attribute)
    return patch(target, watch.timed(stage, original))


def _write_photographs(folder: Path, megapixels: float, images: int) -> int:
    """Write enlarged samples with fine grain, as PNG; returns their pixels together."""
    folder.mkdir(parents=True)
    random, pixels = np.random.default_rng(0), 0
    for i in range(images):
        sample = Image.fromarray(getattr(skimage.data, ("coffee", "rocket", "chelsea")[i % 3])())
        zoom = (megapixels * 1e6 / (sample.width * sample.height)) ** 0.5
        size = (round(sample.width * zoom), round(sample.height * zoom))
        large = np.asarray(sample.resize(size, Image.Resampling.LANCZOS), np.float32)
        grain = random.normal(0, 2, large.shape[:2])[..., None]
        photo = Image.fromarray(np.clip(large + grain, 0, 255).astype(np.uint8))
        photo.save(folder / f"{i:03}.png", compress_level=1)
        pixels += size[0] * size[1]
    return pixels


def _table(rows: list[Row], title: str) -> Table:
    table = Table(title=title)
    stages = (*STAGES, "rest")
    for column in ("MP", "images", *stages, "overhead", "MP/CPU s", "restore ms/MP", "MiB"):
        table.add_column(column, justify="right")
    for row in rows:
        total = sum(row.seconds.values())
        shares = (f"{row.seconds.get(stage, 0) / total:.1%}" for stage in stages)
        table.add_row(
            f"{row.megapixels:g}",
            str(row.images),
            *shares,
            f"{row.overhead:.1%}",
            f"{row.mpix_per_cpu_second:.2f}",
            f"{row.restore_ms_per_mpix:.0f}",
            f"{row.peak_mib:.0f}",
        )
    return table


if __name__ == "__main__":
    main()
