"""Restore a photo, and a part of it, from Python: restore_one.py ARCHIVE KEY.

Neither Ray nor Prefect is started. The first photo loads the network, later ones do not.
"""

import sys

from PIL import Image

from rescaling_core.pixels.area import Area
from tasks.renditions.archive import Archive


def main() -> None:
    """Restore the whole photo, then a part of it."""
    url, key = sys.argv[1:]
    archive = Archive(url)
    photo = archive.restore(key)  # checked against what was measured
    Image.fromarray(photo.pixels).save("restored.png")
    print(f"{key}: {photo.width} x {photo.height}")

    row = archive.row(key)
    part = archive.view(row, Area(left=0, top=0, width=64, height=48))  # only its own tiles
    Image.fromarray(part.pixels).save("part.png")
    print(f"part: {part.width} x {part.height}, measured at {row.psnr_y:.2f} dB")


if __name__ == "__main__":
    main()
