"""What large catalogs cost those who read them: seconds and memory.

    python -m benchmarks.catalog --rows 1000000 --out catalog.json

Each job is a process of its own, which does what the job does before its workers start, on a real
catalog on local disk: one row a source, with restoration metadata of a true rendition's size.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from deltalake import write_deltalake

from benchmarks.measure import peak_bytes
from benchmarks.plan import key_of
from tasks.catalog import RENDITIONS, Catalog, open_catalog
from tasks.catalog.table import RENDITIONS_PREFIX
from tasks.control.waves import waves_of
from tasks.jobs.backfill import steps as backfilling
from tasks.jobs.restore.choosing import choose, requests_of
from tasks.jobs.restore.steps import REQUESTS_PER_WAVE
from tasks.jobs.scrub import steps as scrubbing
from tasks.jobs.scrub.scope import Scope
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_ROWS = 8192
"""Of a file of the catalog: about the 4 MiB to which it is compacted."""

METADATA_DIGESTS = 20
"""Of 64 characters: 1.4 kB of metadata, about what a rendition has."""


def fill_catalog(archive: Store, count: int) -> None:
    """Give the catalog an archived rendition of each key."""
    open_catalog(archive)
    for start in range(0, count, FILE_ROWS):
        rows = [row_of(number) for number in range(start, min(start + FILE_ROWS, count))]
        write_deltalake(
            archive.delta_uri(RENDITIONS_PREFIX),
            pa.Table.from_pylist(rows, schema=RENDITIONS),
            mode="append",
        )


def row_of(number: int) -> dict[str, Any]:
    """A row of a rendition, with as much metadata as true ones have."""
    digests = [
        hashlib.sha256(f"{number} {n}".encode()).hexdigest() for n in range(METADATA_DIGESTS)
    ]
    key = key_of(number)
    return {
        "source_key": key,
        "source_etag": digests[0][:32],
        "source_size": 2_000_000 + number % 1000,
        "source_sha256": digests[0],
        "target": "x2",
        "state": "archived",
        "lr_key": f"renditions/x2/{key}/{digests[1][:16]}.png",
        "lr_bytes": 500_000 + number % 1000,
        "lr_sha256": digests[1],
        "rescaler": "irn-x2-lite",
        "psnr_y": 36 + number % 97 / 10,
        "metadata_json": json.dumps({"digests": digests}),
        "shard_id": digests[2][:16],
        "run_id": "run",
        "committed_at": 0,
        "origin": "source",
    }


def restore_one(catalog: Catalog) -> int:
    """`refold restore ARCHIVE DEST KEY`."""
    return _restored(catalog, [key_of(12_345)])


def restore_all(catalog: Catalog) -> int:
    """`refold restore ARCHIVE DEST --all`."""
    return _restored(catalog, [])


def _restored(catalog: Catalog, keys: list[str]) -> int:
    chosen, _ = choose(catalog.store.url, keys, None, None)
    waves = waves_of(chosen, total=len(chosen), at_least=REQUESTS_PER_WAVE)
    return sum(1 for wave in waves for _ in requests_of(catalog, wave))


def backfill(catalog: Catalog) -> int:
    """`refold backfill ARCHIVE --target x4`."""
    plan = build_plan(PlanOptions(targets=("x4",)))
    total = backfilling.count_gaps.fn(catalog, plan)
    gaps = backfilling.gaps_of(catalog, plan)
    return sum(map(len, waves_of(gaps, total=total, at_least=4 * backfilling.BATCH)))


def scrub(catalog: Catalog) -> int:
    """`refold scrub ARCHIVE`."""
    return sum(1 for _ in scrubbing.checks_of(catalog, Scope(sample=0.01, parts=1), 0))


JOBS: dict[str, Callable[[Catalog], int]] = {
    "restore one": restore_one,
    "restore all": restore_all,
    "backfill": backfill,
    "scrub": scrub,
}


def measure(job: str, archive: str) -> dict[str, Any]:
    """Do what one job does first, in this process."""
    catalog = open_catalog(open_store(archive), create=False)
    before, started = peak_bytes(torch.device("cpu")), time.perf_counter()
    found = JOBS[job](catalog)
    return {
        "job": job,
        "found": found,
        "seconds": round(time.perf_counter() - started, 2),
        "peak_mib": round(peak_bytes(torch.device("cpu")) / 2**20),
        "before_mib": round(before / 2**20),
    }


def main() -> None:
    """Measure, print the table, save the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--jobs", nargs="+", default=list(JOBS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("JOB", "ARCHIVE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(*asked.one)))
        return
    results = []
    print("| rows | job | found | seconds | peak RSS |\n| ---: | --- | ---: | ---: | ---: |")
    for count in asked.rows:
        with TemporaryDirectory(prefix="refold-catalog-") as folder:
            fill_catalog(open_store(folder), count)
            for job in asked.jobs:
                command = [sys.executable, "-m", "benchmarks.catalog", "--one", job, folder]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                one = {"rows": count} | json.loads(done.stdout)
                results.append(one)
                print(
                    f"| {count:,} | {job} | {one['found']:,} | {one['seconds']} "
                    f"| {one['peak_mib']:,} MiB |",
                    flush=True,
                )
    if asked.out:
        asked.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
