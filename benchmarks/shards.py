"""A run of many shards: what the driver costs beside its workers, and whether that grows.

    python -m benchmarks.shards [--images 65536] [--json FILE]

Archives tiny JPEG files, 64 of which make a shard, into previews of 32 pixels, by the command as it
stands: a Ray cluster and a Prefect server of its own, on local disk. How far the run has come is
read from its metrics, wave by wave. The table has a row for each fifth of the run, with CPU
milliseconds a shard of the driver, of Prefect's server, of Ray's own processes and of the workers,
and the driver's share of all of it. A target as cheap as this shows a driver at its worst.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import psutil
import skimage.data
import torch
from PIL import Image

from benchmarks.measure import machine
from tasks.collection.shards import MOST_SHARD_IMAGES

SAMPLED_EVERY: Final = 0.25
"""Seconds; what a process does after its last sample is not counted."""

ROLES: Final = ("driver", "server", "ray", "workers")
PARTS: Final = 5
SIDE: Final = (64, 48)


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of a run."""

    seconds: float
    done: int
    """Sources that are accounted for."""
    cpu: dict[str, float]
    """Seconds so far, by role."""
    driver_mib: float
    """Resident."""


def write_collection(folder: Path, images: int) -> None:
    """Write so many JPEG files, no two of them alike, 256 in a folder."""
    picture = skimage.data.astronaut()
    width, height = SIDE
    across = picture.shape[1] - width
    for number in range(images):
        if number % 256 == 0:
            part = folder / f"{number // 256:05}"
            part.mkdir(parents=True)
        top, left = divmod(number, across)
        cut = np.roll(picture[:height, left : left + width], top, axis=0).copy()
        cut[0, 0] = (number % 251, number // 251 % 251, top % 251)
        Image.fromarray(cut).save(part / f"{number:07}.jpg", quality=90)


def role_of(process: psutil.Process, root: int) -> str:
    """Whose CPU this is."""
    if process.pid == root:
        return "driver"
    command = " ".join(process.cmdline())
    if "prefect.server" in command:
        return "server"
    return "workers" if command.startswith("ray::") else "ray"


def watched(command: list[str], variables: dict[str, str], metrics: Path) -> list[Sample]:
    """Run a command; samples until its end.

    Raises:
        SystemExit: It failed.
    """
    begun, samples = time.monotonic(), []
    seen: dict[tuple[int, float], tuple[str, float]] = {}
    running = subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.DEVNULL)
    root = psutil.Process(running.pid)
    while running.poll() is None:
        with suppress(psutil.Error):
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.Error):
                    times, name = process.cpu_times(), (process.pid, process.create_time())
                    # A worker is named after its job only once it has begun.
                    seen[name] = (role_of(process, root.pid), times.user + times.system)
            cpu = {role: sum(s for whose, s in seen.values() if whose == role) for role in ROLES}
            resident = root.memory_info().rss / 2**20
            seconds = time.monotonic() - begun
            samples.append(Sample(seconds, done_by(metrics), cpu, resident))
        time.sleep(SAMPLED_EVERY)
    if running.returncode:
        raise SystemExit(f"exit code {running.returncode}")
    return samples


def done_by(metrics: Path) -> int:
    """How many sources a run has accounted for, as its metrics say; 0 before there are any."""
    try:
        text = (metrics / "refold-archive.prom").read_text("ascii")
    except OSError:
        return 0
    found = re.search(r'^refold_run_done\{flow="archive"\} (\S+)$', text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def parts_of(samples: list[Sample], images: int) -> list[tuple[Sample, Sample]]:
    """The first and the last moment of each part of the run, from its first finished wave on."""
    first = next(one for one in samples if one.done)
    marks = [first]
    for part in range(1, PARTS + 1):
        goal = first.done + (images - first.done) * part / PARTS
        marks.append(next(one for one in samples if one.done >= goal))
    return [(before, after) for before, after in pairwise(marks) if after.done > before.done]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=1024 * MOST_SHARD_IMAGES)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        work = Path(name)
        write_collection(work / "photos", given.images)
        print(f"{given.images} images, {given.images // MOST_SHARD_IMAGES} shards", flush=True)
        variables = {"REFOLD_METRICS_FOLDER": str(work), "PREFECT_HOME": str(work / "prefect")}
        command = [sys.executable, "-m", "flows.cli", "archive", f"{work}/photos", f"{work}/to",
                   "--target", "long-edge=32", "--rescaler", "lanczos", "--codec", "webp",
                   "--quality", "80"]  # fmt: skip
        samples = watched(command, variables, work)
        tell(samples, given.images, given.json)


def tell(samples: list[Sample], images: int, file: Path | None) -> None:
    """Print the table, and leave a file."""
    print("| shards | seconds | " + " | ".join(f"{role}, ms a shard" for role in ROLES) + " "
          "| driver's share | driver, MiB |")  # fmt: skip
    print("| ---: " * (len(ROLES) + 4) + "|")
    for before, after in parts_of(samples, images):
        shards = (after.done - before.done) / MOST_SHARD_IMAGES
        cpu = {role: after.cpu[role] - before.cpu[role] for role in ROLES}
        cells = [
            f"{before.done // MOST_SHARD_IMAGES:,}-{after.done // MOST_SHARD_IMAGES:,}",
            f"{after.seconds - before.seconds:.0f}",
            *(f"{1000 * cpu[role] / shards:.0f}" for role in ROLES),
            f"{cpu['driver'] / sum(cpu.values()):.1%}",
            f"{after.driver_mib:.0f}",
        ]
        print(f"| {' | '.join(cells)} |")
    last = samples[-1]
    print("all of the command, CPU s:", {role: round(s, 1) for role, s in last.cpu.items()})
    if file:
        report = {
            "machine": machine(torch.device("cpu")),
            "images": images,
            "shard_images": MOST_SHARD_IMAGES,
            "samples": [asdict(one) for one in _waves(samples)],
        }
        file.write_text(json.dumps(report), "utf-8")


def _waves(samples: list[Sample]) -> list[Sample]:
    """The first moment of each wave, and the last one of all."""
    kept = [after for before, after in pairwise(samples) if after.done != before.done]
    return [samples[0], *kept, samples[-1]]


if __name__ == "__main__":
    main()
