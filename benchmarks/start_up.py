"""What commands cost that have little to do: CPU seconds of all their processes, and seconds.

    python -m benchmarks.start_up

Three of scikit-image's photographs are archived, found unchanged, and restored: as the command
does it, and with a Ray cluster and a Prefect server of its own, as it is for large runs and for
those that somebody watches (`REFOLD_SMALL_RUN=0` and metrics asked for).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import skimage.data
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAMPLED_EVERY = 0.05
"""Seconds; what a process does after its last sample is not counted."""

PHOTOGRAPHS = ("astronaut", "rocket", "cat")
TARGET = ("--target", "x2", "--rescaler", "irn-x2-lite")


def cpu_of(arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[float, float]:
    """CPU seconds of `refold` and of all it starts, and seconds that it took."""
    return cpu_of_command([sys.executable, "-m", "flows.cli", *arguments], variables)


def cpu_of_command(command: Sequence[str], variables: Mapping[str, str]) -> tuple[float, float]:
    """CPU seconds of a command and of all it starts, and seconds that it took."""
    environment = os.environ | variables
    environment.pop("PREFECT_API_URL", None)
    started = time.monotonic()
    running = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    root, seen = psutil.Process(running.pid), {}
    while running.poll() is None:
        with suppress(psutil.Error):
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.Error):
                    times = process.cpu_times()
                    seen[process.pid, process.create_time()] = times.user + times.system
        time.sleep(SAMPLED_EVERY)
    if running.returncode:
        raise SystemExit(f"{' '.join(command):.200}: exit code {running.returncode}")
    return sum(seen.values()), time.monotonic() - started


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "photos").mkdir()
        for name in PHOTOGRAPHS:
            Image.fromarray(getattr(skimage.data, name)()).save(work / "photos" / f"{name}.png")
        home = {"PREFECT_HOME": str(work / "prefect")}
        cpu_of(["archive", f"{work}/photos", f"{work}/first", *TARGET], home)  # makes its database
        print("| command | CPU s | s | CPU s with Ray and Prefect | s |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for title, command in _commands(work).items():
            cells = []
            for variables in ({}, {"REFOLD_SMALL_RUN": "0", "REFOLD_METRICS_FOLDER": folder}):
                best = min(
                    cpu_of([*command(f"{number}-{len(variables)}")], home | variables)
                    for number in range(options.repeat)
                )
                cells += [f"{best[0]:.1f}", f"{best[1]:.1f}"]
            print(f"| {title} | {' | '.join(cells)} |", flush=True)


def _commands(work: Path):  # noqa: ANN202 - a table of functions
    photos, first = f"{work}/photos", f"{work}/first"
    return {
        "`archive`, nothing to do": lambda _: ("archive", photos, first, *TARGET),
        "`archive`, 3 photographs": lambda run: ("archive", photos, f"{work}/{run}", *TARGET),
        "`restore` of one key": lambda run: ("restore", first, f"{work}/out-{run}", "cat.png"),
        "`restore --all`, 3": lambda run: ("restore", first, f"{work}/all-{run}", "--all"),
    }


if __name__ == "__main__":
    main()
