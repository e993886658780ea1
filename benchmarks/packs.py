"""LR files in packs beside an object each: requests, CPU, bytes and money, job by job, on S3.

    python -m benchmarks.packs [--images 256 768] [--turns 2] [--json FILE]

Small JPEG files on local disk are archived into a bucket of moto, which logs every request: two LR
files a photograph, one that restores and a preview, once as objects and once as packs, in turns. A
quarter of each archive is then restored, all of it scrubbed, rebuilt after its catalog was removed,
and maintained. The jobs are the commands as they stand, with their workers in this process: CPU
seconds are those of driver and worker; moto and Prefect's server are processes of their own and do
not count. Of two turns the better counts. The table has the requests of the larger archives, and
what each photograph takes by which they are larger, so that no start is in it; money at the list
prices that the program has. The second table is what `refold plan` would say of 10⁹ photographs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import torch

from benchmarks.measure import machine
from benchmarks.peers import write_photographs
from benchmarks.requests import KINDS, Asked, Watch
from tasks.catalog import open_catalog
from tasks.jobs.plan.estimate import Estimate
from tasks.jobs.plan.sample import Sample
from tasks.pages.prices import read_prices
from tasks.renditions.layout import rendition_key
from tasks.storage import accounting, open_store
from tests.command import RefoldHere
from tests.servers.moto import moto_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.endpoint import S3Endpoint

STORES: Final = ("objects", "packs")
JOBS: Final = ("archive", "restore", "scrub", "rebuild", "maintain")
WARM: Final = 32
"""Photographs of the first archives, which do not count: what later ones find imported."""

MEGAPIXELS: Final = 0.02

PLAN: Final = """
[[targets]]
target = "x2"
store = "{store}"
candidates = [{{ rescaler = "bicubic", codec = "webp", quality = 80 }}]

[[targets]]
target = "long-edge=64"
store = "{store}"
"""

MANY: Final = 10**9
SOURCE_BYTES: Final = 3_000_000
LR_KEY: Final = rendition_key("long-edge=256", "2019/07/DSC_0001.jpg", "0" * 32, ".webp")
COLD: Final = "archive"
"""The storage class of the second table."""


@dataclass(frozen=True, slots=True)
class Done:
    """One job on one archive."""

    images: int
    """Photographs that it was about."""
    cpu: float
    """Seconds of driver and worker."""
    asked: Asked
    told: dict[str, int]
    """Requests by the run's own account, where it gives one."""


@dataclass(frozen=True, slots=True)
class Held:
    """What lies in an archive after it was made."""

    objects: int
    """LR objects or packs."""
    nbytes: int
    """Of these."""
    lr_files: int
    """LR files, whatever they lie in."""
    lr_bytes: int


Best = dict[str, dict[str, Done]]
"""By store and job."""

Turns = dict[int, dict[str, list[dict[str, Done]]]]
"""By number of photographs and store, turn by turn, the jobs."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A server, its log, and the command in this process."""

    endpoint: S3Endpoint
    log: Path
    refold: RefoldHere

    def run(self, images: int, *arguments: str) -> Done:
        """Run a command, and count.

        Raises:
            SystemExit: It failed.
        """
        watch, begun = Watch(self.log), time.process_time()
        ran = self.refold(*arguments, "--json")
        cpu = time.process_time() - begun
        if ran.code:
            raise SystemExit(
                f"{' '.join(arguments):.200}: exit code {ran.code}\n{ran.err}{ran.out}"
            )
        return Done(images, cpu, watch.asked(), ran.json.get("s3_requests", {}))


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """Start moto and Prefect's server, and have the environment lead there."""
    log = folder / "moto.log"
    with moto_server(log=log) as endpoint:
        os.environ.update(endpoint.environment, PREFECT_HOME=str(folder / "prefect"))
        from tasks.control.server import prefect_server  # Prefect looks for its home at once

        with prefect_server():
            yield Bench(endpoint, log, RefoldHere({}, workers_here=True))


def turn(made: Bench, folder: Path, images: int, store: str) -> tuple[dict[str, Done], Held]:
    """Every job once, on a new archive."""
    url = f"s3://{made.endpoint.new_bucket()}/archive"
    plan, photos = folder / f"{store}.toml", folder / f"photos-{images}"
    plan.write_text(PLAN.format(store=store))
    done = {"archive": made.run(images, "archive", str(photos), url, "--plan", str(plan))}
    archive, held = open_store(url), held_by(url)
    some = sorted(path.name for path in photos.iterdir())[::4]
    with TemporaryDirectory() as restored:
        done["restore"] = made.run(len(some), "restore", url, restored, *some)
    done["scrub"] = made.run(images, "scrub", url)
    for one in list(archive.list("catalog/")):
        archive.delete(one.key)
    done["rebuild"] = made.run(images, "rebuild", url)
    done["maintain"] = made.run(images, "maintain", url)
    return done, held


def held_by(url: str) -> Held:
    """Look at what lies there."""
    archive = open_store(url)
    found = [one.size for prefix in ("renditions/", "packs/") for one in archive.list(prefix)]
    rows = list(open_catalog(archive, create=False).archived())
    return Held(len(found), sum(found), len(rows), sum(row.lr_bytes for row in rows))


def better(turns: list[dict[str, Done]]) -> dict[str, Done]:
    """Of each job the turn with less CPU."""
    return {job: min((one[job] for one in turns), key=lambda done: done.cpu) for job in turns[0]}


def more(small: Done, large: Done, what: Callable[[Done], float]) -> float:
    """What each further photograph takes, between a small archive and a large one."""
    return (what(large) - what(small)) / (large.images - small.images)


def rows_of(small: Best, large: Best) -> Iterator[list[str]]:
    """The first table: counts of the large archives, and what a further photograph takes."""
    for job in JOBS:
        figures = {}
        for store in STORES:
            one, done = small[store][job], large[store][job]
            whole, own = done.asked.all, done.asked.catalog
            each = 1e3 * more(one, done, lambda done: done.cpu)
            money = 1e6 * more(one, done, lambda done: accounting.cost(done.asked.all))
            figures[store] = [*(float(whole[kind]) for kind in KINDS), done.cpu, each, money]
            counts = [f"{whole[kind]:,} ({own[kind]:,})" for kind in KINDS]
            yield [f"`{job}`", store, *counts, f"{done.cpu:.1f}", f"{each:.1f}", f"{money:.2f}"]
        ratios = map(_ratio, *(figures[store] for store in STORES))
        yield ["", "ratio", *ratios]


def _ratio(objects: float, packs: float) -> str:
    return f"{objects / packs:.2f}" if packs > 0 else "-"


def rows_of_many(sizes: list[int]) -> Iterator[list[str]]:
    """The second table: a preview of so many bytes of each of 10⁹ photographs."""
    sample = Sample(sources=(), listed=MANY, listed_bytes=MANY * SOURCE_BYTES)
    prices = read_prices(None)
    for size in sizes:
        for store in STORES:
            one = Estimate(plan=store, sampled=1, source_bytes=SOURCE_BYTES, stored_bytes=size)
            one.holding.add("preview", LR_KEY, size, packed=store == "packs")
            cost = one.of_collection(sample, prices)
            beyond = one.holding.shortfall(prices.least[COLD], sample, 1, SOURCE_BYTES)
            billed = (cost.stored_bytes + beyond) / 1e12
            yield [f"{size:,}", store, f"{cost.writes:,}", f"{cost.once:,.0f}",
                   f"{cost.stored_bytes / 1e12:.1f}", f"{billed:.1f}",
                   f"{cost.per_month[COLD]:,.0f}"]  # fmt: skip


def tell(title: list[str], rows: Iterator[list[str]]) -> None:
    """Print a table."""
    print("| " + " | ".join(title) + " |\n|" + " --- |" * len(title))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, nargs=2, default=[256, 768])
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 15_000, 150_000])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    turns: Turns = {number: {store: [] for store in STORES} for number in given.images}
    held: dict[str, Held] = {}
    with TemporaryDirectory() as name, bench(Path(name)) as made:
        folder = Path(name)
        for number in (WARM, *given.images):
            write_photographs(folder / f"photos-{number}", number, MEGAPIXELS, MEGAPIXELS)
        for store in STORES:
            turn(made, folder, WARM, store)
        for _ in range(given.turns):
            for number in given.images:
                for store in STORES:
                    done, held[store] = turn(made, folder, number, store)
                    turns[number][store].append(done)
                    seconds = {job: round(one.cpu, 1) for job, one in done.items()}
                    print(number, store, seconds, file=sys.stderr, flush=True)
    small, large = ({s: better(turns[n][s]) for s in STORES} for n in given.images)
    for store, one in held.items():
        told = {kind: large[store]["archive"].told.get(kind, 0) for kind in KINDS}
        print(f"{store}: {one.lr_files:,} LR files of {one.lr_bytes:,} bytes in {one.objects:,} "
              f"objects of {one.nbytes:,} bytes; by the run's own account: {told}")  # fmt: skip
    tell(["job", "store", *(f"{kind} (catalog)" for kind in KINDS), "CPU s", "CPU ms a photo",
          "$ a million photos"], rows_of(small, large))  # fmt: skip
    print(f"\n{MANY:,} photographs, a preview each; the class `{COLD}` of the price table")
    tell(["bytes a file", "store", "writes", "$ for them", "TB", "TB billed", "$ a month"],
         rows_of_many(given.sizes))  # fmt: skip
    if given.json:
        report = {
            "machine": machine(torch.device("cpu")),
            "turns": {
                number: {s: [{j: asdict(d) for j, d in t.items()} for t in of[s]] for s in STORES}
                for number, of in turns.items()
            },
            "held": {store: asdict(one) for store, one in held.items()},
        }
        given.json.write_text(json.dumps(report), "utf-8")


if __name__ == "__main__":
    main()
