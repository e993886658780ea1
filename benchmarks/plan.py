"""Planning a run over very many keys: seconds and memory.

    python -m benchmarks.plan --out plan.json
    python -m benchmarks.plan --keys 100000 1000000

For each number of keys and each share of them that the catalog has already, a process of its own
lists the collection, takes away what is in the catalog, cuts the rest into shards and makes every
shard, as the nightly run does before its workers start. The listing is synthetic: keys come from
a generator, as a store's pages would, a thousand at a time and as fast as Python goes. The catalog
is a real one, on local disk, made beforehand and not timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import write_deltalake

from tasks.catalog import RENDITIONS, open_catalog
from tasks.catalog.table import RENDITIONS_PREFIX
from tasks.control.waves import waves_of
from tasks.jobs.archive.steps import SHARDS_PER_WORKER, find_pending, shards_of
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import ObjectInfo, Store, Surveyed, open_store
from tasks.storage.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tasks.storage import Place

SIZES = (10**5, 10**6, 10**7)
KNOWN = (0.0, 0.99, 0.999)
"""Shares of the keys that the catalog has: none as in the first run, nearly all as in a nightly."""

WORKERS = 16
FILE_ROWS = 100_000
"""Rows of a file of the catalog: about what compaction makes of rows with restoration metadata."""


def key_of(number: int) -> str:
    """56 characters, sorted as their numbers."""
    folder = number // 1000
    return f"collection/{folder // 1000:04}/{folder % 1000:04}/photo-{number:012}-original.jpg"


class SyntheticStore(LocalStore):
    """A store that lists objects there are none of."""

    def __init__(self, count: int, folder: Path) -> None:
        super().__init__(str(folder), folder)
        self._count = count

    def survey(
        self, enter: Callable[[str], bool], *, avoid: Sequence[Place] = ()
    ) -> Iterator[Surveyed]:
        """See `Store.survey`."""
        for number in range(self._count):
            yield Surveyed(ObjectInfo(key_of(number), 2_000_000 + number % 1000, f"{number:032x}"))


def fill_catalog(archive: Store, count: int, known: float) -> None:
    """Give the catalog rows of all keys but some that are spread evenly over the collection."""
    open_catalog(archive)
    skip = round(1 / (1 - known))
    for start in range(0, count, FILE_ROWS):
        numbers = [n for n in range(start, min(start + FILE_ROWS, count)) if n % skip]
        table = pa.table({"source_key": [key_of(n) for n in numbers]})
        constant: dict[str, Any] = {
            "target": "x2",
            "state": "archived",
            "shard_id": "s",
            "run_id": "r",
            "metadata_json": "{}",
        }
        columns = {
            "source_key": table.column("source_key"),
            "source_etag": pa.array([f"{n:032x}" for n in numbers]),
            "source_size": pa.array([2_000_000 + n % 1000 for n in numbers], pa.int64()),
            "committed_at": pa.array([0] * len(numbers), RENDITIONS.field("committed_at").type),
        }
        arrays = [
            columns[field.name]
            if field.name in columns
            else pc.cast(pa.array([constant.get(field.name)] * len(numbers)), field.type)
            for field in RENDITIONS
        ]
        rows = pa.table(arrays, schema=RENDITIONS)
        write_deltalake(archive.delta_uri(RENDITIONS_PREFIX), rows, mode="append")


def measure(count: int, archive: Store) -> dict[str, Any]:
    """Plan a run as `refold archive` does, in this process."""
    plan = build_plan(PlanOptions(targets=("x2",)))
    before = _peak()
    started, began = time.perf_counter(), time.process_time()
    pending = find_pending.fn(SyntheticStore(count, Path(archive.url)), open_catalog(archive), plan)
    found, busy = time.perf_counter(), time.process_time()
    shards = shards_of(pending, plan, WORKERS)
    waves = waves_of(shards, total=len(shards), at_least=WORKERS * SHARDS_PER_WORKER)
    sources = sum(len(shard.sources) for wave in waves for shard in wave)
    finished, done = time.perf_counter(), time.process_time()
    if sources != pending.count or pending.listed != count:
        raise AssertionError(f"{sources} sources in shards, {pending.count} pending")
    return {
        "keys": count,
        "pending": pending.count,
        "shards": len(shards),
        "find_seconds": round(found - started, 1),
        "find_cpu_seconds": round(busy - began, 1),
        "cut_seconds": round(finished - found, 1),
        "cut_cpu_seconds": round(done - busy, 1),
        "peak_mib": round(_peak() / 2**20),
        "before_mib": round(before / 2**20),
    }


def _peak() -> int:
    """Bytes; `getrusage` would count what the process that started this one had."""
    status = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _in_a_process(count: int, known: float, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.plan", "--one", str(count), str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {"known": known} | json.loads(done.stdout)


def table_of(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| keys | known | pending | shards | compare, CPU s | s | cut, CPU s | s | peak RSS |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['keys']:,} | {row['known']:.1%} | {row['pending']:,} | {row['shards']:,} "
        f"| {row['find_cpu_seconds']} | {row['find_seconds']} "
        f"| {row['cut_cpu_seconds']} | {row['cut_seconds']} | {row['peak_mib']:,} MiB |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, save the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, nargs="+", default=SIZES)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("KEYS", "ARCHIVE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        count, archive = asked.one
        print(json.dumps(measure(int(count), open_store(archive))))
        return
    rows = []
    for count in asked.keys:
        for known in KNOWN:
            with TemporaryDirectory(prefix="refold-plan-") as folder:
                fill = open_store(folder)
                if known:
                    fill_catalog(fill, count, known)
                else:
                    open_catalog(fill)
                rows.append(_in_a_process(count, known, Path(folder)))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(table_of(rows))
    if asked.out:
        machine = {"python": platform.python_version(), "machine": platform.platform()}
        asked.out.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
