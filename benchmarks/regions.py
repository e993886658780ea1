"""CPU time of regions and sizes of a large image out of an archive that is open and warm.

    python benchmarks/regions.py 4000x3000
    python benchmarks/regions.py 4000x3000 --rescaler irn-x2-lite --codec avif --side 512

The image is tiled from photographs and archived in a temporary folder. Every figure is the median
of several calls, CPU and wall time of this process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.memory import write_source
from rescaling_core.codecs import CodecSpec
from rescaling_core.photo.served import encode_served
from rescaling_core.pixels.area import Area
from rescaling_core.pixels.tiles import DEFAULT_TILING
from rescaling_core.plan import ArchivePlan, Candidate, Target, TargetPlan
from tasks.renditions.archive import Archive
from tasks.renditions.cache import ByteCache
from tests.every_rescaler import write

if TYPE_CHECKING:
    from collections.abc import Callable


def timed(what: str, call: Callable[[int], object], times: int) -> None:
    """Print the median of some calls, each of which gets its number."""
    cpu, wall = [], []
    for number in range(times):
        begun = time.process_time(), time.perf_counter()
        call(number)
        cpu.append(time.process_time() - begun[0])
        wall.append(time.perf_counter() - begun[1])
    middle = statistics.median
    print(f"{what:<48} {1000 * middle(cpu):8.0f} ms CPU {1000 * middle(wall):8.0f} ms")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", help="WIDTHxHEIGHT")
    parser.add_argument("--rescaler", default="irn-x2-lite")
    parser.add_argument("--codec", default="png")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    side = given.side
    with TemporaryDirectory() as folder:
        path = Path(folder) / "source.png"
        write_source(path, width, height, "PNG")
        target = Target.parse("x2")
        candidate = Candidate(given.rescaler, CodecSpec.parse(given.codec))
        plan = ArchivePlan(targets=(TargetPlan(target=target, candidates=(candidate,)),))
        made = write(Path(folder), [("source.png", path.read_bytes(), "x2", plan)], DEFAULT_TILING)
        archive = Archive(made.url)
        row = archive.row("source.png")
        timed("open: read, decode, check", lambda _: archive.opened(row), 1)
        step = DEFAULT_TILING.tile
        across = width // step

        def fresh(number: int) -> object:
            place = Area(number % across * step, number // across * step, side, side)
            return archive.view(row, place)

        timed("first region: load the network, restore a tile", fresh, 1)
        timed(f"{side} x {side}, its tile not restored before", lambda n: fresh(n + 1), given.times)
        timed(f"{side} x {side}, again", lambda _: fresh(1), given.times)
        double = Area(0, 0, 2 * side, 2 * side)
        timed("a tile at half size, from the LR image",
              lambda _: archive.view(row, double, (side, side)), given.times)  # fmt: skip
        timed(
            "a thumbnail of 320 pixels", lambda _: archive.view(row, size=(320, 240)), given.times
        )
        part = archive.view(row, Area(0, 0, side, side))
        for format in ("png", "webp", "jpeg", "avif"):
            timed(f"{side} x {side} as {format}", lambda _, f=format: encode_served(part, f),
                  given.times)  # fmt: skip
        forgetful = Archive(made.url, cache=ByteCache(0))
        timed("the whole image, nothing kept", lambda _: forgetful.restored(row), 1)


if __name__ == "__main__":
    main()
