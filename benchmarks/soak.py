"""A long run of mixed images, with a poisoned one and a killed worker on the way: memory over time.

    python -m benchmarks.soak [--images 1000] [--large 4] [--rescaler irn-x2-lite] [--out FOLDER]

Makes the collection out of scikit-image's samples, most of 0.05 to 2 megapixels and a few of 60;
one key makes its worker kill itself whenever it is read, and one worker is killed from outside. The
large ones are converted with the bicubic baseline, in a run of their own. Leaves `soak.json` and
`soak.svg`: resident memory of the driver and of all workers, and what the object store holds.
For each process that lives a minute or longer it says how much more it holds in the last quarter
of its life than in the second one (median), the first one being its start.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import psutil
import ray
import skimage.data
import torch
from matplotlib import pyplot
from PIL import Image
from prefect.logging import disable_run_logger

from benchmarks.measure import machine
from tasks.catalog import open_catalog
from tasks.cluster.pool import worker_pool
from tasks.cluster.session import ray_session
from tasks.cluster.slots import photos_at_once, worker_slots
from tasks.control.run import Run
from tasks.jobs.archive import steps as archiving
from tasks.jobs.archive.tally import ArchiveTally
from tasks.jobs.archive.worker import ConversionJob, ShardConverter, ShardResult
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import open_store

if TYPE_CHECKING:
    from tasks.collection.shards import Shard

SAMPLES = ("chelsea", "astronaut", "coffee", "rocket")
LARGE = (9000, 6667)
A_MINUTE = 60
"""In samples."""


class PoisonedConverter(ShardConverter):
    """As the real one, but one image takes its process along; tells its process id."""

    def convert(self, shard: Shard) -> ShardResult:
        """See `ShardConverter.convert`."""
        (Path(self._job.archive_url) / "pids" / str(os.getpid())).touch()
        if any("poison" in source.key for source in shard.sources):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().convert(shard)


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory at one moment, in MiB."""

    seconds: float
    driver: float
    workers: float
    object_store: float
    each: dict[int, float] = field(default_factory=dict)
    """Of each worker, by its process id."""


def write_collection(folder: Path, images: int, large: int) -> float:
    """Write the images; returns their megapixels."""
    random, pixels = np.random.default_rng(0), 0
    samples = [Image.fromarray(getattr(skimage.data, name)()) for name in SAMPLES]
    for i in range(images + large):
        side = LARGE
        if i < images:  # areas spread evenly on a logarithmic scale
            area = np.exp(random.uniform(np.log(0.05e6), np.log(2e6)))
            ratio = random.uniform(0.6, 1.6)
            side = (int((area * ratio) ** 0.5), int((area / ratio) ** 0.5))
        path = folder / ("small" if i < images else "large") / f"{i % 17}" / f"{i:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = samples[i % len(samples)].resize(side, Image.Resampling.BICUBIC)
        image.save(path, quality=92)
        pixels += side[0] * side[1]
    (folder / "small" / "poison.jpg").write_bytes(path.read_bytes()[:1000])
    return pixels / 1e6


def watch(samples: list[Sample], stop: Event) -> None:
    """Take a sample a second until told to stop."""
    started, driver, held = time.monotonic(), psutil.Process(), 0.0
    while not stop.wait(1):
        each: dict[int, float] = {}
        for child in driver.children(recursive=True):
            try:
                if child.name().startswith("ray::"):
                    each[child.pid] = child.memory_info().rss / 2**20
            except psutil.Error:
                continue
        held = object_store_bytes(held)
        own = driver.memory_info().rss
        seconds = time.monotonic() - started
        samples.append(Sample(seconds, own / 2**20, sum(each.values()), held / 2**20, each))


def object_store_bytes(before: float) -> float:
    """What this node's object store holds, as it tells Prometheus; `before` if it does not yet."""
    (node,) = (node for node in ray.nodes() if node["Alive"])
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    try:
        text = urllib.request.urlopen(url, timeout=5).read().decode()
    except OSError:
        return before
    lines = (line for line in text.splitlines() if line.startswith("ray_object_store_used_memory{"))
    return sum(float(line.split()[-1]) for line in lines)


def run(folder: Path, part: str, rescaler: str, *, kill: bool) -> ArchiveTally:
    """Archive a part of the collection; `kill` ends one worker once it has begun."""
    slots = worker_slots()
    job = ConversionJob(
        source_url=str(folder / part),
        archive_url=str(folder / f"archive-{part}"),
        plan=build_plan(PlanOptions(targets=("x2",), rescalers=(rescaler,), codec="jpeg-420")),
        run_id="soak",
        photos_at_once=photos_at_once(slots),
    )
    catalog = open_catalog(open_store(job.archive_url))
    pids = Path(job.archive_url) / "pids"
    pids.mkdir()
    pending = archiving.find_pending.fn(open_store(job.source_url), catalog, job.plan)
    shards = archiving.shards_of(pending, job.plan, slots.count)
    run = Run("archive", ArchiveTally(), {})

    def kill_one() -> None:
        while run.tally.done < pending.count // 3:
            time.sleep(0.2)
        for path in pids.iterdir():
            if psutil.pid_exists(int(path.name)):
                os.kill(int(path.name), signal.SIGKILL)
                return

    if kill:
        Thread(target=kill_one, daemon=True).start()
    with disable_run_logger(), worker_pool(PoisonedConverter, "convert", (job,), slots) as pool:
        # Waves as short as can be: the tally, which tells when to kill, advances with them.
        waves = run.waves(shards, cut=len(shards), at_least=slots.count, total=pending.count)
        for wave in waves:
            run.add(archiving.convert_wave.fn(wave, pool, catalog, job))
            print(f"{part}: {run.tally.done} of {pending.count}", flush=True)
    rows = sum(1 for _ in catalog.rows())
    if (run.tally.done, rows) != (pending.count, pending.count):
        raise RuntimeError(f"{pending.count} sources, {run.tally.done} counted, {rows} rows")
    return run.tally


def growth(samples: list[Sample]) -> dict[str, list[float]]:
    """Median MiB in the second and in the last quarter of the life of each process.

    Those that live less than a minute are left out.
    """
    lives: dict[str, list[float]] = {"driver": [one.driver for one in samples]}
    for one in samples:
        for process, held in one.each.items():
            lives.setdefault(f"worker {process}", []).append(held)
    lasting = {name: life for name, life in lives.items() if len(life) >= A_MINUTE}
    return {
        name: [
            round(float(np.median(part)))
            for part in (life[len(life) // 4 : len(life) // 2], life[-(len(life) // 4) :])
        ]
        for name, life in lasting.items()
    }


def plot(samples: list[Sample], path: Path) -> None:
    """Draw memory over time."""
    mpl.use("svg")
    figure, axes = pyplot.subplots(figsize=(8, 3.2), layout="constrained")
    seconds = [one.seconds for one in samples]
    for name in ("workers", "driver", "object_store"):
        axes.plot(seconds, [getattr(one, name) for one in samples], label=name.replace("_", " "))
    axes.set(xlabel="seconds", ylabel="MiB", ylim=0)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Make the collection, archive it under watch, and leave figures and plot."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--large", type=int, default=4)
    parser.add_argument("--rescaler", default="irn-x2-lite", help="for all but the large ones")
    parser.add_argument("--out", type=Path, default=Path("soak"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    stop = Event()
    with TemporaryDirectory() as name, ray_session():
        folder = Path(name)
        megapixels = write_collection(folder, given.images, given.large)
        print(f"{given.images} + {given.large} images, {megapixels:.0f} megapixels", flush=True)
        started = time.monotonic()
        watcher = Thread(target=watch, args=(samples, stop))
        watcher.start()
        try:
            small = run(folder, "small", given.rescaler, kill=True)
            large = run(folder, "large", "bicubic", kill=False) if given.large else ArchiveTally()
        finally:
            stop.set()
            watcher.join()
        seconds = time.monotonic() - started
    report = {
        "machine": machine(torch.device("cpu")),
        "images": given.images + given.large,
        "megapixels": round(megapixels, 1),
        "seconds": round(seconds, 1),
        "small": {"archived": small.archived, "kept": small.kept, "quarantined": small.quarantined},
        "large": {"archived": large.archived, "kept": large.kept, "quarantined": large.quarantined},
        "peak_mib": {
            name: round(max(getattr(one, name) for one in samples))
            for name in ("driver", "workers", "object_store")
        },
        "second_and_last_quarter_mib": growth(samples),
        "samples": [asdict(one) for one in samples],
    }
    (given.out / "soak.json").write_text(json.dumps(report), "utf-8")
    plot(samples, given.out / "soak.svg")
    print({key: value for key, value in report.items() if key != "samples"})


if __name__ == "__main__":
    main()
