"""A wave of shards on two Ray nodes, one of which is killed: run by `test_two_nodes.py`.

    python -m tests.integration.two_nodes FOLDER

A process of its own, since a process belongs to one Ray at a time. Leaves `outcome.json`; what the
killed node has to say goes to standard output.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from pathlib import Path
from threading import Thread

import ray
from prefect.logging import disable_run_logger
from ray.cluster_utils import Cluster

from tasks import archiving
from tasks.archiving import RunTally
from tasks.catalog import open_catalog
from tasks.cluster import ray_session, worker_pool
from tasks.conversion import ConversionJob, ShardConverter, ShardResult
from tasks.planning import PlanOptions, build_plan
from tasks.shards import Shard
from tasks.slots import worker_slots
from tasks.storage import open_store
from tests.command import write_photographs

IMAGES = 16


class NotingConverter(ShardConverter):
    """As the real one; leaves a note of where each shard was begun, and is in no hurry."""

    def convert(self, shard: Shard) -> ShardResult:
        node = ray.get_runtime_context().get_node_id()
        folder = Path(self._job.archive_url) / "begun"
        folder.mkdir(exist_ok=True)
        (folder / f"{shard.shard_id}-{node}").touch()
        time.sleep(0.5)
        return super().convert(shard)


def main(folder: Path) -> None:
    write_photographs(folder / "photos", IMAGES)
    job = ConversionJob(
        source_url=str(folder / "photos"),
        archive_url=str(folder / "archive"),
        plan=build_plan(PlanOptions(targets=("x2",), rescalers=("bicubic",))),
        run_id="run-1",
    )
    settings = {"metrics_report_interval_ms": 500, "health_check_period_ms": 1000}
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "_system_config": settings},
    )
    lost = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        (folder / "outcome.json").write_text(json.dumps(_run(job, cluster, lost)), "utf-8")
    finally:
        ray.shutdown()
        cluster.shutdown()


def _run(job: ConversionJob, cluster: Cluster, lost: object) -> dict[str, object]:
    catalog = open_catalog(open_store(job.archive_url))
    pending = archiving.find_pending.fn(open_store(job.source_url), catalog, job.plan)
    slots = worker_slots()
    shards = archiving.shards_of(pending, job.plan, slots.count)
    tally = RunTally()
    lost_id = lost.node_id  # type: ignore[attr-defined]
    begun = Path(job.archive_url) / "begun"

    def kill_a_node() -> None:
        """When it has begun its second shard: one was finished, one is lost."""
        while len(list(begun.glob(f"*-{lost_id}"))) < 2:
            time.sleep(0.05)
        cluster.remove_node(lost, allow_graceful=False)

    killer = Thread(target=kill_a_node, daemon=True)
    killer.start()
    with (
        disable_run_logger(),
        ray_session(),
        worker_pool(NotingConverter, "convert", (job,), slots, patience=2) as pool,
    ):
        archiving.convert_wave.fn(1, shards, pool, catalog, job, tally, pending)
        killer.join()
        served = _metrics()
    nodes = {path.name.rpartition("-")[2] for path in begun.iterdir()}
    return {
        "workers": slots.count,
        "shards": len(shards),
        "begun": len(list(begun.iterdir())),
        "nodes": len(nodes),
        "alive": sum(node["Alive"] for node in ray.nodes()),
        "sources": tally.sources,
        "rows": sorted(row.source_key for row in catalog.rows()),
        "metrics": served,
    }


def _metrics() -> dict[str, float]:
    """What the surviving node serves of ours, once it has been reported."""
    (node,) = (node for node in ray.nodes() if node["Alive"])
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    for _ in range(60):
        text = urllib.request.urlopen(url, timeout=10).read().decode()
        found: dict[str, float] = {}
        for line in text.splitlines():
            if "refold_" in line and not line.startswith("#"):
                name, value = line.split("{")[0], float(line.split()[-1])
                found[name] = found.get(name, 0) + value
        if found.get("ray_refold_sources_total", found.get("ray_refold_sources", 0)):
            return found
        time.sleep(0.5)
    raise TimeoutError(f"no metrics of ours at {url}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
