"""One, two and four workers on one machine: megapixels a second, and what they hold together.

    python -m benchmarks.workers [--workers 1 2 4] [--images 24] [--rescaler irn-x2-lite]

Each number of workers has a Ray of its own and converts the same photographs, once to load and
compile and then `--turns` times, of which the best counts. Workers that are more than the CPUs
share them (`REFOLD_CPUS_PER_WORKER` below 1), each with one thread. Other work on the machine
disturbs it.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import torch

from benchmarks.measure import machine
from benchmarks.nodes import SIDE, check, work_on, write_photographs
from tasks.cluster.pool import worker_pool
from tasks.cluster.session import ray_session
from tasks.cluster.slots import worker_slots
from tasks.jobs.archive.worker import ShardConverter


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What so many workers did."""

    workers: int
    seconds: list[float]
    """Of each turn."""
    mib: float
    """Resident at the end, of all of them together."""


def measure(folder: Path, rescaler: str, workers: int, turns: int) -> Row:
    """Convert the collection by so many workers."""
    job, shards = work_on(folder, rescaler)
    cpus = len(psutil.Process().cpu_affinity() or [0])
    seconds = []
    with ray_session():
        slots = worker_slots(cpus_per_worker=min(1, cpus / workers)).at_most(workers)
        if slots.count != workers:
            raise RuntimeError(f"{workers} workers: there is room for {slots.count}")
        with worker_pool(ShardConverter, "convert", (job,), slots) as pool:
            check(pool.run(shards))  # loads and compiles
            for _ in range(turns):
                started = time.monotonic()
                check(pool.run(shards))
                seconds.append(time.monotonic() - started)
            resident = sum(
                child.memory_info().rss
                for child in psutil.Process().children(recursive=True)
                if child.name().startswith("ray::")
            )
    return Row(workers=workers, seconds=seconds, mib=resident / 2**20)


def main() -> None:
    """Measure every number of workers, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--rescaler", default="irn-x2-lite")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_photographs(folder / "photos", given.images)
        rows = [measure(folder, given.rescaler, workers, given.turns) for workers in given.workers]
    megapixels = given.images * SIDE**2 / 1e6
    first = min(rows[0].seconds)
    print("| workers | MP a second | ratio | MiB |\n| ---: | ---: | ---: | ---: |")
    for row in rows:
        best = min(row.seconds)
        print(f"| {row.workers} | {megapixels / best:.2f} | {first / best:.2f} | {row.mib:.0f} |")
    if given.json:
        report = {"machine": machine(torch.device("cpu")), "megapixels": megapixels}
        report["rows"] = [asdict(row) for row in rows]
        given.json.write_text(json.dumps(report, indent=1), "utf-8")


if __name__ == "__main__":
    main()
