"""What a plan's search costs, beside a plain bisection for full-size AVIF at the same effort.

    python -m benchmarks.search --sets Kodak --every 4 --presets balanced viewable

The rival is what one writes in thirty lines: halve the range of qualities until the lowest one
that reaches the floor is found, at the encoder's settings of `avif-420`. CPU seconds and encodes
in earnest (at the effort that the plan asks for, not at the fast one of a forecast) are counted
over the pictures, each preset in turn on each picture, so that a noisy machine hits them alike.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.floor import BENCH, Networks
from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.codecs.traits import NO_EXTRAS, FileExtras
from rescaling_core.convert import Rendition, SourceRef, convert
from rescaling_core.photo import decode_photo
from rescaling_core.plan import Floor, TargetPlan
from rescaling_core.quality import metrics
from tasks.plans.presets import PRESETS
from tasks.plans.toml import read_plan

if TYPE_CHECKING:
    from rescaling_core.photo import Photo
    from rescaling_core.pixels.arrays import U8Array

RIVAL = "bisection, AVIF alone"


@dataclass
class Counted:
    """`codecs.encode`, which counts the full-size pictures that it is given."""

    size: tuple[int, int]
    """(height, width) of full size."""
    seconds: float = 0.0
    nbytes: int = 0
    earnest: int = 0
    hasty: int = 0
    """At the effort of a forecast."""
    kinds: Counter[tuple[str, tuple[int, ...]]] = field(default_factory=Counter)
    """Those in earnest of any size, by codec and shape."""
    of_winner: int = 0
    """Those of the codec and the shape of what was stored."""

    def __call__(
        self, pixels: U8Array, spec: CodecSpec, *, extras: FileExtras = NO_EXTRAS
    ) -> bytes:
        """Encode."""
        quick = spec.codec.quick
        if pixels.shape[:2] == self.size:
            hasty = quick is not None and spec.effort == quick.effort
            self.hasty, self.earnest = self.hasty + hasty, self.earnest + (not hasty)
        if quick is None or spec.effort != quick.effort:
            self.kinds[spec.name, pixels.shape[:2]] += 1
        return codecs.encode(pixels, spec, extras=extras)


def bisect(photo: Photo, floor: float, encode: Counted, low: int = 10, high: int = 95) -> int:
    """Bytes of the AVIF file of the lowest quality that reaches a floor."""
    found = 0
    while low <= high:
        middle = (low + high) // 2
        data = encode(photo.pixels, CodecSpec.parse("avif-420", middle))
        if metrics.psnr_y(codecs.decode(data), photo.pixels) >= floor:
            found, high = len(data), middle - 1
        else:
            low = middle + 1
    return found


def archive(
    photo: Photo, data: bytes, plan: TargetPlan, encode: Counted, networks: Networks
) -> int:
    """Bytes of what a plan stores."""
    size = photo.width * photo.height * 3  # a lossless benchmark file is not to limit it
    ref = SourceRef(key="picture", etag="", size=size, sha256=hashlib.sha256(data).hexdigest())
    made = convert(
        photo, ref, plan, networks, software="refold benchmark", data=data, encode=encode
    )
    if not isinstance(made, Rendition):
        return 0
    stored = CodecSpec.parse(made.metadata.codec, made.metadata.quality)
    shape = codecs.decode(made.lr_data).shape[:2]
    encode.of_winner = encode.kinds[stored.name, shape]
    return len(made.lr_data)


def measure(
    path: Path, floor: float, plans: dict[str, TargetPlan], networks: Networks
) -> dict[str, Counted]:
    """One picture, by the bisection and by every plan in turn."""
    data = path.read_bytes()
    photo = decode_photo(data)
    found = {}
    for name in (RIVAL, *plans):
        found[name] = one = Counted((photo.height, photo.width))
        started = time.process_time()
        if name == RIVAL:
            one.nbytes = bisect(photo, floor, one)
            one.of_winner = one.earnest
        else:
            one.nbytes = archive(photo, data, plans[name], one, networks)
        one.seconds = time.process_time() - started
    return found


def table(rows: list[dict[str, Counted]]) -> str:
    """Sums over all pictures, as Markdown."""
    pixels = sum(row[RIVAL].size[0] * row[RIVAL].size[1] for row in rows)
    rival = sum(row[RIVAL].seconds for row in rows)
    lines = [
        f"{len(rows)} pictures, {pixels / 1e6:.1f} megapixels:",
        "",
        "| | CPU seconds a megapixel | of the bisection's | full-size encodes a picture "
        "| in haste | of the codec and size that won | stored bytes |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in rows[0]:
        cells = [row[name] for row in rows]
        seconds = sum(one.seconds for one in cells)
        lines.append(
            f"| {name} | {seconds / pixels * 1e6:.2f} | {seconds / rival:.2f} "
            f"| {sum(one.earnest for one in cells) / len(rows):.1f} "
            f"| {sum(one.hasty for one in cells) / len(rows):.1f} "
            f"| {sum(one.of_winner for one in cells) / len(rows):.1f} "
            f"| {sum(one.nbytes for one in cells):,} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", nargs="+", default=["Kodak"])
    parser.add_argument("--bench", type=Path, default=BENCH, help="folder with a folder a set")
    parser.add_argument("--every", type=int, default=4, help="every so many images of each set")
    parser.add_argument("--floor", type=float, default=34, help="PSNR-Y, dB")
    parser.add_argument("--presets", nargs="+", default=["balanced", "viewable", "faithful"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    plans = {}
    for name in given.presets:
        wanted = Floor(psnr_y=given.floor)
        plan = read_plan(PRESETS[name], name=name, floor=wanted, as_installed=True)
        plans[name] = next(one for one in plan.targets if one.target.scale is not None)
    rows: list[dict[str, Counted]] = []
    networks = Networks()
    for one in given.sets:
        for path in sorted((given.bench / one).iterdir())[:: given.every]:
            if not rows:  # networks are loaded and compiled once by a worker, not for each picture
                measure(path, given.floor, plans, networks)
            rows.append(measure(path, given.floor, plans, networks))
            print(path.stem, {who: round(cell.seconds, 1) for who, cell in rows[-1].items()})
    print()
    print(table(rows))


if __name__ == "__main__":
    main()
