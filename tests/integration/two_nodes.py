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
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import ray
from prefect.logging import disable_run_logger
from ray.cluster_utils import Cluster

from tasks.catalog import open_catalog
from tasks.cluster.pool import worker_pool
from tasks.cluster.session import LOCAL_SETTINGS, ray_session
from tasks.cluster.slots import worker_slots
from tasks.collection.shards import Shard
from tasks.control.run import Wave
from tasks.jobs.archive import steps as archiving
from tasks.jobs.archive.worker import ConversionJob, ShardConverter, ShardResult
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import open_store
from tests.command import write_photographs

IMAGES = 16
KILLED = "killed"
PATIENCE = 200.0


class NotingConverter(ShardConverter):
    """As the real one; leaves a note of where each shard was begun, and waits for the other node.

    A node's first shard lasts until both nodes have one, its second until the other node was
    killed: so the node that dies has always finished one shard and lost another, however busy the
    machine is and however long its worker outlives it.
    """

    def convert(self, shard: Shard) -> ShardResult:
        node = ray.get_runtime_context().get_node_id()
        folder = begun_in(self._job.archive_url)
        (folder / f"{shard.shard_id}-{node}").touch()
        if len(list(folder.glob(f"*-{node}"))) == 1:
            wait_until(lambda: len(nodes_of(folder)) == 2)
        else:
            wait_until(lambda: killed_node(folder) not in ("", node))
        return super().convert(shard)


def begun_in(archive: str) -> Path:
    folder = Path(archive) / "begun"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def nodes_of(begun: Path) -> set[str]:
    return {path.name.rpartition("-")[2] for path in begun.iterdir()}


def killed_node(begun: Path) -> str:
    note = begun.parent / KILLED
    return note.read_text("utf-8") if note.exists() else ""


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("the other node never came so far")
        time.sleep(0.05)


def main(folder: Path) -> None:
    write_photographs(folder / "photos", IMAGES)
    job = ConversionJob(
        source_url=str(folder / "photos"),
        archive_url=str(folder / "archive"),
        plan=build_plan(PlanOptions(targets=("x2",), rescalers=("bicubic",))),
        run_id="run-1",
    )
    settings = {**LOCAL_SETTINGS, "metrics_report_interval_ms": 500, "health_check_period_ms": 1000}
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
    lost_id = lost.node_id  # type: ignore[attr-defined]
    begun = begun_in(job.archive_url)

    def kill_a_node() -> None:
        """When it has begun its second shard: one was finished, one is lost."""
        wait_until(lambda: len(list(begun.glob(f"*-{lost_id}"))) >= 2)
        cluster.remove_node(lost, allow_graceful=False)
        (begun.parent / KILLED).write_text(lost_id, "utf-8")

    killer = Thread(target=kill_a_node, daemon=True)
    killer.start()
    with (
        disable_run_logger(),
        ray_session(),
        worker_pool(NotingConverter, "convert", (job,), slots) as pool,
    ):
        tally = archiving.convert_wave.fn(Wave(1, shards), pool, catalog, job)
        killer.join()
        wait_until(lambda: _alive() == 1)  # a run need not wait until Ray has noticed
        served = _metrics()
    return {
        "workers": slots.count,
        "shards": len(shards),
        "begun": len(list(begun.iterdir())),
        "nodes": len(nodes_of(begun)),
        "alive": _alive(),
        "sources": tally.done,
        "rows": sorted(row.source_key for row in catalog.rows()),
        "metrics": served,
    }


def _alive() -> int:
    return sum(node["Alive"] for node in ray.nodes())


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
