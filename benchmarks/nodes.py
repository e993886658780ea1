"""Two Ray nodes against one, each with one CPU of its own, on one machine.

    python -m benchmarks.nodes [--images 24] [--rescaler irn-x2-lite] [--json FILE]

A cluster of two nodes converts the same shards in turns: one at a time, so that one node works, and
as a run does, on both. Prints the best of three turns each, in megapixels a second of wall-clock
time, and how near to twice as many two nodes come. Other work on the machine disturbs it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import ray
import skimage.data
import torch
from PIL import Image
from ray.cluster_utils import Cluster

from benchmarks.measure import machine
from tasks.catalog import open_catalog
from tasks.cluster.pool import worker_pool
from tasks.cluster.slots import worker_slots
from tasks.cluster.workers import Lost
from tasks.jobs.archive import steps as archiving
from tasks.jobs.archive.worker import ConversionJob, ShardConverter
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.collection.shards import ShardPlan
    from tasks.jobs.archive.worker import ShardResult

SIDE = 512


def main() -> None:
    """Measure one node, then two."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rescaler", default="irn-x2-lite")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_photographs(folder / "photos", given.images)
        seconds = convert(folder, given.rescaler)
    rates = {nodes: given.images * SIDE**2 / 1e6 / min(turns) for nodes, turns in seconds.items()}
    for nodes, rate in rates.items():
        print(f"{nodes} at work: {rate:.3f} megapixels a second")
    print(f"two against one: {rates[2] / rates[1]:.2f}")
    if given.json:
        report = {"machine": machine(torch.device("cpu")), "seconds": seconds}
        given.json.write_text(json.dumps(report, indent=1), "utf-8")


def write_photographs(folder: Path, images: int) -> None:
    """Write so many photographs of one size, each another."""
    folder.mkdir()
    astronaut = skimage.data.astronaut()
    for i in range(images):
        Image.fromarray(np.roll(astronaut, 9 * i, axis=1)).save(folder / f"{i:03}.png")


def work_on(folder: Path, rescaler: str) -> tuple[ConversionJob, ShardPlan]:
    """What workers are told once, and the shards of the collection: 16 of them."""
    job = ConversionJob(
        source_url=str(folder / "photos"),
        archive_url=str(folder / "archive"),
        plan=build_plan(PlanOptions(targets=("x2",), rescalers=(rescaler,))),
        run_id="benchmark",
    )
    catalog = open_catalog(open_store(job.archive_url))
    pending = archiving.find_pending.fn(open_store(job.source_url), catalog, job.plan)
    return job, archiving.shards_of(pending, job.plan, workers=4)


def convert(folder: Path, rescaler: str) -> dict[int, list[float]]:
    """Seconds for the collection, by the number of nodes at work, three turns each."""
    job, shards = work_on(folder, rescaler)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    try:
        with worker_pool(ShardConverter, "convert", (job,), worker_slots()) as pool:
            check(pool.run(shards))  # loads and compiles on both
            for _ in range(3):
                started = time.monotonic()
                for shard in shards:
                    check(pool.run([shard]))
                seconds[1].append(time.monotonic() - started)
                started = time.monotonic()
                check(pool.run(shards))
                seconds[2].append(time.monotonic() - started)
    finally:
        ray.shutdown()
        cluster.shutdown()
    return seconds


def check(results: Iterable[ShardResult | Lost]) -> None:
    """Take all results.

    Raises:
        RuntimeError: A worker died.
    """
    if any(isinstance(result, Lost) for result in results):
        raise RuntimeError("a worker died")


if __name__ == "__main__":
    main()
