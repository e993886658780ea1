"""Two Ray nodes against one, each with one CPU of its own, on one machine.

    python -m benchmarks.nodes [--images 24] [--rescaler irn-x2-lite] [--json FILE]

Converts the same shards on one node and on two, started and warm beforehand; prints megapixels a
second of wall-clock time and how near to twice as many two nodes come.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import ray
import skimage.data
import torch
from PIL import Image
from ray.cluster_utils import Cluster

from benchmarks.measure import machine
from tasks import archiving
from tasks.catalog import open_catalog
from tasks.cluster import Lost, worker_pool, worker_slots
from tasks.conversion import ConversionJob, ShardConverter
from tasks.planning import PlanOptions, build_plan
from tasks.storage import open_store

SIDE = 512


def main() -> None:
    """Measure one node, then two."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--rescaler", default="irn-x2-lite")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rates: dict[int, float] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        astronaut = skimage.data.astronaut()
        for i in range(given.images):
            Image.fromarray(np.roll(astronaut, 9 * i, axis=1)).save(folder / f"photos/{i:03}.png")
        for nodes in (1, 2):
            seconds = convert(folder, nodes, given.rescaler)
            rates[nodes] = given.images * SIDE**2 / 1e6 / seconds
            print(f"{nodes} node(s): {rates[nodes]:.3f} megapixels a second", flush=True)
    print(f"two against one: {rates[2] / rates[1]:.2f}")
    if given.json:
        report = {"machine": machine(torch.device("cpu")), "mpix_per_second": rates}
        given.json.write_text(json.dumps(report, indent=1), "utf-8")


def convert(folder: Path, nodes: int, rescaler: str) -> float:
    """Seconds that a cluster of so many nodes takes for the collection, once it is warm."""
    job = ConversionJob(
        source_url=str(folder / "photos"),
        archive_url=str(folder / f"archive-{nodes}"),
        plan=build_plan(PlanOptions(targets=("x2",), rescalers=(rescaler,))),
        run_id="benchmark",
    )
    catalog = open_catalog(open_store(job.archive_url))
    pending = archiving.find_pending.fn(open_store(job.source_url), catalog, job.plan)
    shards = archiving.shards_of(pending, job.plan, workers=4)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    for _ in range(nodes - 1):
        cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        with worker_pool(ShardConverter, "convert", (job,), worker_slots()) as pool:
            list(pool.run(shards[:nodes]))
            started = time.monotonic()
            results = list(pool.run(shards))
            seconds = time.monotonic() - started
    finally:
        ray.shutdown()
        cluster.shutdown()
    if any(isinstance(result, Lost) for result in results):
        raise RuntimeError("a worker died")
    return seconds


if __name__ == "__main__":
    main()
