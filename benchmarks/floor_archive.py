"""Whether what an archive holds restores at its floor: by the command alone, in fresh processes.

    python -m benchmarks.floor_archive --work /tmp/floor --sets Set5 Kodak

Archives the benchmark sets with `refold archive`, restores all of them from storage with
`refold restore`, and compares the restored files with the sources. What is kept is listed. A run
that was stopped is taken up where it stopped, since `refold archive` is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.floor import BENCH, SETS
from rescaling_core.quality import metrics


def refold(*arguments: str) -> Any:
    """Run the command in a process of its own; what it printed as JSON."""
    command = [sys.executable, "-m", "flows.cli", *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 3):  # 3: some are in quarantine, and will be counted as that
        raise SystemExit(f"refold {' '.join(arguments)}: exit code {done.returncode}")
    return json.loads(done.stdout)


def main() -> None:
    """Archive, restore, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for archive and results")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--bench", type=Path, default=BENCH, help="folder with a folder a set")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--plan", help="a plan file, instead of the preset")
    parser.add_argument("--target", default="x2", help="the plan's target to restore")
    parser.add_argument("--floor", type=float, default=34, help="PSNR-Y, dB")
    given = parser.parse_args()
    archive, out = str(given.work / "archive"), given.work / "restored"
    stated = ["--plan", given.plan] if given.plan else ["--preset", given.preset]
    included = [word for name in given.sets for word in ("--include", f"{name}/*")]
    floor = ["--floor", f"psnr_y={given.floor:g}"]
    refold("archive", str(given.bench), archive, *stated, *floor, *included)
    shutil.rmtree(out, ignore_errors=True)
    refold("restore", archive, str(out), "--all", "--target", given.target)
    rows = [row for row in refold("ls", archive) if row["target"] == given.target]
    missed = report(rows, given.bench, out, given.floor)
    raise SystemExit(1 if missed else 0)


def report(rows: list[dict[str, Any]], bench: Path, out: Path, floor: float) -> int:
    """Print what the archive holds of each set; how many renditions miss the floor."""
    print("| set | images | archived | kept | sources | stored | lowest PSNR-Y | below the floor |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    missed, kept = 0, []
    for name in dict.fromkeys(row["source_key"].partition("/")[0] for row in rows):
        of_set = [row for row in rows if row["source_key"].startswith(f"{name}/")]
        archived = [row for row in of_set if row["state"] == "archived"]
        kept += [row for row in of_set if row["state"] != "archived"]
        reached = [
            metrics.psnr_y(_pixels(out, row["source_key"]), _pixels(bench, row["source_key"]))
            for row in archived
        ]
        below = sum(value < floor - 0.05 for value in reached)
        missed += below
        sources = sum(row["source_bytes"] for row in archived)
        stored = sum(row["lr_bytes"] for row in archived)
        lowest = min(reached, default=float("nan"))
        print(
            f"| {name} | {len(of_set)} | {len(archived)} | {len(of_set) - len(archived)} "
            f"| {sources:,} | {stored:,} | {lowest:.3f} | {below} |"
        )
    print("\nKept:" if kept else "\nNone is kept.")
    for row in kept:
        print(f"- {row['source_key']}: {row['state']}: {row['reason']}")
    return missed


def _pixels(folder: Path, key: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A restored file has its source's name, or that and the extension of another format."""
    (path,) = [path for path in (folder / key).parent.glob(f"{Path(key).name}*") if path.is_file()]
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


if __name__ == "__main__":
    main()
