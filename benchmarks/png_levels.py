"""What zlib's levels cost where restored photos are written as PNG.

    python -m benchmarks.png_levels FOLDER [COUNT]

Prints, over the first photos of a folder, seconds a megapixel and bytes against level 6.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

from PIL import Image

LEVELS = (0, 1, 2, 3, 4, 6, 9)
SUFFIXES = (".jpg", ".png", ".webp")


def main(folder: str, count: int = 6) -> None:
    """Encode each photo at each level, once."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix in SUFFIXES)
    seconds = dict.fromkeys(LEVELS, 0.0)
    nbytes = dict.fromkeys(LEVELS, 0)
    pixels = 0
    for path in paths[:count]:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        pixels += image.width * image.height
        for level in LEVELS:
            buffer, started = io.BytesIO(), time.perf_counter()
            image.save(buffer, "PNG", compress_level=level)
            seconds[level] += time.perf_counter() - started
            nbytes[level] += buffer.tell()
    print(f"{min(count, len(paths))} photos, {pixels / 1e6:.1f} megapixels")
    for level in LEVELS:
        print(
            f"level {level}: {seconds[level] / pixels * 1e6:.3f} s a megapixel, "
            f"{nbytes[level] / nbytes[6]:.3f} of the bytes of level 6"
        )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]))
