"""What an image costs that is archived on S3: CPU milliseconds of the process, and requests.

    python -m benchmarks.archive_on_s3 [--images 192]

So many JPEG files of 320 × 240 pixels, two previews of each: listed, converted and committed in one
process, by `REFOLD_STORE_CLIENT=obstore` (where it is installed) and `s3fs` against moto, a process
of its own whose time is not counted, and on local disk, which says what all that is not S3 takes.
Each in processes of its own, in turns, of which the best counts, after a smaller archive that is
not counted. Requests are counted once more, at the server, as those of the catalog's tables go past
Refold's own count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import skimage.data
import torch
from PIL import Image

from benchmarks.measure import machine
from benchmarks.requests import Watch
from tasks.storage import accounting, open_store
from tests.servers.moto import moto_server
from tests.small_archive import SmallArchive

WIDTH, HEIGHT = 320, 240
PREVIEWS = ("long-edge=128", "long-edge=64")
WARM_UP = 16
"""Images of the archive that is not counted."""


def write_photographs(url: str, count: int) -> None:
    """Write so many JPEG files, each another."""
    store, astronaut = open_store(url), skimage.data.astronaut()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "one.jpg"
        for number in range(count):
            picture = np.roll(astronaut, 9 * number, axis=1)[:HEIGHT, :WIDTH]
            Image.fromarray(picture).save(path, quality=92)
            store.put(f"{number:04}.jpg", path.read_bytes())


def measure(root: str) -> float:
    """CPU milliseconds of an image, in this process."""
    SmallArchive(f"{root}/few", f"{root}/warm-{os.getpid()}").run(*PREVIEWS)
    started = time.process_time()
    archive = SmallArchive(f"{root}/photos", f"{root}/archive-{os.getpid()}")
    archive.run(*PREVIEWS)
    took = 1000 * (time.process_time() - started)
    rows = len(archive.rows())
    assert rows % len(PREVIEWS) == 0
    return took / (rows // len(PREVIEWS))


def counted(log: Path, root: str) -> dict[str, Any]:
    """The requests of one archive: by Refold's count, and at the server, the catalog's apart."""
    accounting.drain()
    watch = Watch(log)
    SmallArchive(f"{root}/photos", f"{root}/counted").run(*PREVIEWS)
    return {"s3_requests": accounting.drain(), "server": asdict(watch.asked())}


def main() -> None:
    """Measure in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=192)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one)))
        return
    with (
        TemporaryDirectory() as folder,
        moto_server(keeps_alive=True, log=(log := Path(folder) / "moto.log")) as server,
    ):
        os.environ.update(server.environment)
        bucket = f"s3://{server.new_bucket()}"
        for root in (bucket, folder):
            write_photographs(f"{root}/few", WARM_UP)
            write_photographs(f"{root}/photos", given.images)
        ways = {"s3fs": bucket, "local disk": folder}
        if find_spec("obstore"):
            ways = {"obstore": bucket} | ways
        turns: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(given.turns):
            for way, root in ways.items():
                turns[way].append(_measured(way, root))
        requests = counted(log, bucket)
    print("| by | CPU ms an image | of local disk |\n| --- | ---: | ---: |")
    for way, took in turns.items():
        print(f"| {way} | {min(took):.1f} | {min(took) / min(turns['local disk']):.2f} |")
    print(json.dumps(requests))
    if given.json:
        report: dict[str, Any] = {"machine": machine(torch.device("cpu")), "images": given.images}
        report |= {"cpu_ms": turns, "requests": requests}
        given.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def _measured(way: str, root: str) -> float:
    client = {"REFOLD_STORE_CLIENT": "" if way == "local disk" else way}
    command = [sys.executable, "-m", "benchmarks.archive_on_s3", "--one", root]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | client
    )
    return float(done.stdout)


if __name__ == "__main__":
    main()
