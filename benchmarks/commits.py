"""What a commit costs as the catalog grows: CPU seconds, memory, and files.

    python -m benchmarks.commits --rows 100000 1000000 10000000 --out commits.json

The table is real, on local disk: one row a source with 1.4 kB of metadata, every second key of a
range, in files as compaction leaves them. They are written beforehand and not timed. Each kind of
commit is then measured in a process of its own: rows behind all others, rows spread evenly over the
table, whose keys are new or whose sources have changed. Keys that are new are looked for in the
files that may hold them, or are known to be new from planning, as those of an archive run are.
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
from tasks.catalog import RENDITIONS, Archived, Catalog, open_catalog
from tasks.catalog import query as sql
from tasks.catalog.absent import NOTHING_KNOWN, Absent
from tasks.catalog.parts import parts_of, write_part
from tasks.catalog.table import INDEXED, RENDITIONS_PREFIX
from tasks.storage import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILES_A_COMMIT = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of commit."""

    rows: int
    where: str
    """`behind` all others, or `spread` evenly over the table."""
    changed: bool
    """Whether the sources have rows already, with another change mark."""
    known: bool = False
    """Whether planning has seen that no file there was has a row of them."""

    @property
    def name(self) -> str:
        """As the command line and the table have it."""
        what = "changed" if self.changed else "known-new" if self.known else "new"
        return f"{self.rows}-{what}-{self.where}"


KINDS = {
    kind.name: kind
    for kind in (
        Kind(64, "behind", changed=False),
        Kind(64, "spread", changed=False),
        Kind(64, "spread", changed=False, known=True),
        Kind(64, "spread", changed=True),
        Kind(4096, "behind", changed=False),
        Kind(4096, "spread", changed=False),
        Kind(4096, "spread", changed=False, known=True),
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
        keys = [2 * (int(n * step + place) // 2) for n in range(kind.rows)]
    # A new key lies right behind one that is there, and no other commit has it.
    suffix = "" if kind.changed else f".{kind.name}.{number}"
    return [_row(key, suffix, f"later-{number}") for key in keys]


def _row(number: int, suffix: str, etag: str) -> Archived:
    fields = row_of(number) | {"source_key": key_of(number) + suffix, "source_etag": etag}
    del fields["state"], fields["committed_at"]
    made_up = {"weights_sha256": "", "scale": 2.0, "codec": "avif"}
    return Archived(**fields, **made_up, width=4000, height=3000, mode="RGB")


def measure(kind: Kind, count: int, url: str, times: int) -> dict[str, Any]:
    """Make commits of one kind in this process."""
    catalog = open_catalog(open_store(url), create=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files = catalog.files if kind.known else frozenset()
    cpu, wall, opened = [], [], []
    for number in range(times):
        rows = rows_of(kind, count, number)
        keys = frozenset(row.source_key for row in rows)
        known = Absent(keys, files) if kind.known else NOTHING_KNOWN
        opened.append(_places(catalog, keys, known))
        started, began = time.process_time(), time.perf_counter()
        if not catalog.commit_shards([(f"s{number}", rows)], absent=known):
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
        "files": len(catalog.files),
        "opened_first": opened[0],
        "opened_last": opened[-1],
    }


def check(url: str) -> None:
    """Make sure that no key has two rows, as a commit that was told wrong things would leave."""
    catalog = open_catalog(open_store(url), create=False)
    text = f"SELECT count(*) - count(DISTINCT source_key) AS twice FROM {sql.TABLE}"
    table = catalog.tables[0].current()
    (found,) = sql.query(table, text, pa.schema([("twice", pa.int64())]))
    if found.column("twice").to_pylist() != [0]:
        raise AssertionError(f"{found.column('twice')} keys have more than one row")


def _places(catalog: Catalog, keys: Iterable[str], known: Absent) -> int:
    """How many files a commit of these keys looks into."""
    parts = parts_of(catalog.tables[0].current(), "source_key")
    return len(list(known.places(parts, sorted(keys))))


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
            check(folder)


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
    print("| rows | commit | CPU s, first | median | most | peak RSS | files opened |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    results = []
    for one in _all(asked):
        results.append(one)
        if "failed" in one:
            print(f"| {one['rows']:,} | {one['kind']} | ended with {one['failed']} |", flush=True)
            continue
        print(
            f"| {one['rows']:,} | {one['kind']} | {one['cpu_first']} | {one['cpu_median']} "
            f"| {one['cpu_most']} | {one['peak_mib']:,} MiB "
            f"| {one['opened_first']} to {one['opened_last']} of {one['files']:,} |",
            flush=True,
        )
    if asked.out:
        machine = {"python": platform.python_version(), "machine": platform.platform()}
        asked.out.write_text(json.dumps({"machine": machine, "rows": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
