"""What a commit costs as the catalog grows: CPU seconds, memory, and files.

    python -m benchmarks.commits --rows 100000 1000000 10000000 --out commits.json

The table is real, on local disk: one row a source with 1.4 kB of metadata, every second key of a
range, in files as compaction leaves them. They are written beforehand and not timed. Each kind of
commit is then measured in a process of its own: rows behind all others, rows spread evenly over the
table, whose keys are new or whose sources have changed.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from benchmarks.catalog import FILE_ROWS, row_of
from benchmarks.plan import key_of
from tasks.catalog import RENDITIONS, Archived, open_catalog
from tasks.catalog.parts import write_part
from tasks.catalog.table import INDEXED, RENDITIONS_PREFIX
from tasks.storage import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES_A_COMMIT = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of commit."""

    rows: int
    where: str
    """`behind` all others, or `spread` evenly over the table."""
    changed: bool
    """Whether the sources have rows already, with another change mark."""

    @property
    def name(self) -> str:
        """As the command line and the table have it."""
        return f"{self.rows}-{'changed' if self.changed else 'new'}-{self.where}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind(64, "behind", changed=False),
        Kind(64, "spread", changed=False),
        Kind(64, "spread", changed=True),
        Kind(4096, "behind", changed=False),
        Kind(4096, "spread", changed=False),
    )
}


def fill(archive: Store, count: int) -> None:
    """Give the catalog an archived rendition of every second key, in files sorted by key."""
    catalog = open_catalog(archive)
    sample = pa.Table.from_pylist(
        [row_of(number) for number in range(min(count, FILE_ROWS))], schema=RENDITIONS
    )
    table = catalog.tables[0].current()
    actions: list[Any] = []
    for start in range(0, count, FILE_ROWS):
        numbers = range(start, min(start + FILE_ROWS, count))
        keys = [key_of(2 * number) for number in numbers]
        named = {"source_key": keys, "lr_key": [f"renditions/x2/{key}/lr.avif" for key in keys]}
        rows = sample.slice(0, len(keys))
        for name, values in named.items():
            place = RENDITIONS.get_field_index(name)
            rows = rows.set_column(place, RENDITIONS.field(name), pa.array(values))
        actions.append(
            write_part(archive, RENDITIONS_PREFIX, rows, indexed=INDEXED, data_change=True)
        )
        if len(actions) == FILES_A_COMMIT or numbers.stop == count:
            table.create_write_transaction(actions, "append", table.schema())
            actions = []


def rows_of(kind: Kind, count: int, number: int) -> list[Archived]:
    """The rows of one commit; those of others have other keys."""
    if kind.where == "behind":
        first = 2 * count + number * kind.rows
        keys = list(range(first, first + kind.rows))
    else:
        step = 2 * count / kind.rows
        place = 2 * (number + 1) * int(step / 40)
        keys = [2 * (int(n * step + place) // 2) + (not kind.changed) for n in range(kind.rows)]
    return [_row(key, f"later-{number}") for key in keys]


def _row(number: int, etag: str) -> Archived:
    fields = row_of(number) | {"source_etag": etag}
    del fields["state"], fields["committed_at"]
    made_up = {"weights_sha256": "", "scale": 2.0, "codec": "avif"}
    return Archived(**fields, **made_up, width=4000, height=3000, mode="RGB")


def measure(kind: Kind, count: int, url: str, times: int) -> dict[str, Any]:
    """Make commits of one kind in this process."""
    catalog = open_catalog(open_store(url), create=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = [], []
    for number in range(times):
        rows = rows_of(kind, count, number)
        started, began = time.process_time(), time.perf_counter()
        if not catalog.commit_shard(f"s{number}", rows):
            raise AssertionError(f"{kind.name}: nothing was committed")
        cpu.append(time.process_time() - started)
        wall.append(time.perf_counter() - began)
    return {
        "rows": count,
        "kind": kind.name,
        "commits": times,
        "cpu_first": round(cpu[0], 3),
        "cpu_median": round(median(cpu), 3),
        "cpu_most": round(max(cpu), 3),
        "wall_median": round(median(wall), 3),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "before_mib": before // 1024,
        "files": len(catalog.tables[0].current().file_uris()),
    }


def _all(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for count in asked.rows:
        with TemporaryDirectory(prefix="refold-commits-") as folder:
            began = time.perf_counter()
            fill(open_store(folder), count)
            print(f"{count:,} rows in {time.perf_counter() - began:.0f} s", file=sys.stderr)
            for name in asked.kinds:
                one = ["--one", name, str(count), folder, "--times", str(asked.times)]
                command = [sys.executable, "-m", "benchmarks.commits", *one]
                done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
                failed = {"rows": count, "kind": name, "failed": done.returncode}
                yield failed if done.returncode else json.loads(done.stdout)


def main() -> None:
    """Measure, print the table, save the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--times", type=int, default=5, help="commits of each kind")
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--one", nargs=3, metavar=("KIND", "ROWS", "ARCHIVE"), help=argparse.SUPPRESS
    )
    asked = parser.parse_args()
    if asked.one:
        kind, count, url = asked.one
        print(json.dumps(measure(KINDS[kind], int(count), url, asked.times)))
        return
    print("| rows | commit | CPU s, first | median | most | peak RSS |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    results = []
    for one in _all(asked):
        results.append(one)
        if "failed" in one:
            print(f"| {one['rows']:,} | {one['kind']} | ended with {one['failed']} |", flush=True)
            continue
        print(
            f"| {one['rows']:,} | {one['kind']} | {one['cpu_first']} | {one['cpu_median']} "
            f"| {one['cpu_most']} | {one['peak_mib']:,} MiB |",
            flush=True,
        )
    if asked.out:
        machine = {"python": platform.python_version(), "machine": platform.platform()}
        asked.out.write_text(json.dumps({"machine": machine, "rows": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
