"""Pack part of a folder of photographs for a machine to which only so much can be sent.

    python infra/gpu/pack.py PHOTOS DEST --megabytes 50

Takes photographs evenly over the sorted names until they are that many, as they are.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

SUFFIXES = {".png", ".webp", ".jpg", ".jpeg", ".avif", ".tif", ".tiff"}


def chosen(photographs: list[Path], nbytes: int) -> list[Path]:
    """As many as fit: the largest share of the list, taken evenly."""
    whole = sum(path.stat().st_size for path in photographs)
    share = min(1.0, nbytes / whole) if whole else 1.0
    kept: list[Path] = []
    total = 0
    for number, path in enumerate(photographs):
        size = path.stat().st_size
        if int((number + 1) * share) > int(number * share) and total + size <= nbytes:
            kept.append(path)
            total += size
    return kept


def main() -> None:
    """Copy them, and say how many."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("dest", type=Path)
    parser.add_argument("--megabytes", type=float, default=50)
    given = parser.parse_args()
    found = sorted(path for path in given.photographs.iterdir() if path.suffix.lower() in SUFFIXES)
    kept = chosen(found, int(given.megabytes * 1e6))
    given.dest.mkdir(parents=True, exist_ok=True)
    for path in kept:
        shutil.copyfile(path, given.dest / path.name)
    sys.stdout.write(f"{len(kept)} of {len(found)} photographs\n")


if __name__ == "__main__":
    main()
