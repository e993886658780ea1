"""Load on `refold serve`: many clients at once on tiles and whole images, beside static files.

    python -m benchmarks.serve --clients 50 --seconds 60

Photographs are tiled to large images and archived in a temporary folder; `refold serve` answers in
a process of its own, and so does a server of static files, which holds the same tiles as files.
Clients wait for each answer, and for as long as Retry-After says where they are refused.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import numpy as np
import psutil

from benchmarks.memory import write_source
from flows.service.ids import RenditionId
from rescaling_core.codecs import CodecSpec
from rescaling_core.pixels.tiles import DEFAULT_TILING
from rescaling_core.plan import ArchivePlan, Candidate, Target, TargetPlan
from tasks.catalog import open_catalog
from tasks.storage import open_store
from tests.every_rescaler import write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIDE: Final = 512
LARGE: Final = (3000, 2000)
SMALL: Final = (1000, 750)
LARGE_ONES: Final = 2
CACHE: Final = 24 * 2**20
"""Bytes: half of what the decoded LR images and restored tiles of the large images take."""

COLUMNS: Final = ("what", "answers", "a second", "p50 ms", "p95 ms", "p99 ms", "MP a CPU second",
                  "429", "other")  # fmt: skip

_STATIC: Final = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.staticfiles import StaticFiles
app = Starlette()
app.mount("/", StaticFiles(directory=sys.argv[1]))
uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", http="h11")
"""


@dataclass
class Seen:
    """What the clients of one phase saw."""

    seconds: list[float] = field(default_factory=list)
    """Of each answer."""
    statuses: Counter[int] = field(default_factory=Counter)


async def client(port: int, path: Callable[[], str], until: float, seen: Seen) -> None:
    """Ask again and again over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < until:
        asked = f"GET {path()} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        begun = time.monotonic()
        writer.write(asked.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = re.search(r"content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        status = int(head.split()[1])
        seen.statuses[status] += 1
        if status == 200:
            seen.seconds.append(time.monotonic() - begun)
        elif (wait := re.search(r"retry-after: (\d+)", head)) is not None:
            await asyncio.sleep(min(float(wait[1]), until - time.monotonic()))
            writer.close()  # a server keeps no connection for so long
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


async def load(port: int, path: Callable[[], str], clients: int, seconds: float) -> Seen:
    """Let clients ask for some time."""
    seen, until = Seen(), time.monotonic() + seconds
    await asyncio.gather(*(client(port, path, until, seen) for _ in range(clients)))
    return seen


def phase(
    name: str, process: int, port: int, path: Callable[[], str], megapixels: float,
    given: argparse.Namespace,
) -> None:  # fmt: skip
    """Load a server and print a row of the table."""
    server = psutil.Process(process)
    before, begun = server.cpu_times(), time.monotonic()
    seen = asyncio.run(load(port, path, given.clients, given.seconds))
    wall, after = time.monotonic() - begun, server.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    times = 1000 * np.percentile(seen.seconds or [np.nan], [50, 95, 99])
    count = len(seen.seconds)
    others = {status: times for status, times in seen.statuses.items() if status not in (200, 429)}
    row = [name, f"{count:,}", f"{count / wall:.1f}", *(f"{one:,.0f}" for one in times),
           f"{count * megapixels / cpu:.2f}" if cpu else "", f"{seen.statuses[429]:,}",
           str(others or "none")]  # fmt: skip
    print("| " + " | ".join(row) + " |", flush=True)


@contextmanager
def server(command: list[str], port: int, **environment: str) -> Iterator[int]:
    """A server for as long as the context lasts; gives its process."""
    process = subprocess.Popen([sys.executable, *command], env={**os.environ, **environment})
    try:
        for _ in range(600):
            try:
                asyncio.run(_connected(port))
                break
            except OSError:
                time.sleep(0.2)
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


async def _connected(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


def archive(folder: Path) -> str:
    """An archive of large images, and a small one."""
    target = Target.parse("x2")
    one = Candidate("irn-x2-lite", CodecSpec.parse("avif"))
    plan = ArchivePlan(targets=(TargetPlan(target=target, candidates=(one,)),))
    cases = []
    for number, (width, height) in enumerate([LARGE] * LARGE_ONES + [SMALL]):
        path = folder / f"{number}.png"
        write_source(path, width + number, height, "PNG")
        cases.append((f"{number}.png", path.read_bytes(), "x2", plan))
        path.unlink()
    return write(folder, cases, DEFAULT_TILING).url


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--port", type=int, default=8477)
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        url = archive(Path(temporary))
        rows = open_catalog(open_store(url), create=False).rows()
        ordered = sorted(rows, key=lambda row: row.source_key)
        ids = [RenditionId.of("archive", row).exact for row in ordered]
        draw = random.Random(1)

        def tile(number: int | None = None) -> str:
            name = ids[draw.randrange(LARGE_ONES) if number is None else number]
            x, y = (SIDE * draw.randrange(n // SIDE if number is None else 2) for n in LARGE)
            return f"/iiif/3/{name}/{x},{y},{SIDE},{SIDE}/max/0/default.webp"

        static = Path(temporary) / "static"
        static.mkdir()
        print("| " + " | ".join(COLUMNS) + " |")
        print("|" + " --- |" * len(COLUMNS))
        command = ["-m", "flows.cli", "serve", url, "--port", str(given.port)]
        with server(command, given.port, REFOLD_SERVE_CACHE_BYTES=str(CACHE)) as process:
            base = f"http://127.0.0.1:{given.port}"
            for x in range(2):
                for y in range(2):
                    part = f"{x * SIDE},{y * SIDE},{SIDE},{SIDE}/max/0/default.webp"
                    with urlopen(f"{base}/iiif/3/{ids[0]}/{part}") as answer:
                        (static / f"{x}{y}.webp").write_bytes(answer.read())
            mp = SIDE * SIDE / 1e6
            phase("tiles, cached", process, given.port, lambda: tile(0), mp, given)
            phase("tiles, half of them cached", process, given.port, tile, mp, given)
            whole = f"/v1/renditions/{ids[-1]}/hr?format=webp"
            mp = SMALL[0] * SMALL[1] / 1e6
            phase("whole images of 0.75 MP", process, given.port, lambda: whole, mp, given)
        with server(["-c", _STATIC, str(static), str(given.port + 1)], given.port + 1) as process:
            files = [f"/{x}{y}.webp" for x in range(2) for y in range(2)]
            phase("the same tiles as files", process, given.port + 1,
                  lambda: draw.choice(files), SIDE * SIDE / 1e6, given)  # fmt: skip


if __name__ == "__main__":
    main()
