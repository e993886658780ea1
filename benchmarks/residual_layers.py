"""What `learned_residual` works on: enlarged pictures, what AVIF makes of the rest, and curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from PIL import Image

from benchmarks.restorers import bytes_at
from rescaling_core import codecs
from rescaling_core.codecs import CodecSpec
from rescaling_core.containers.boxes import walk
from rescaling_core.networks.filters import FilterRescaler
from rescaling_core.networks.latent import LatentPolicy
from rescaling_core.pixels import differences
from rescaling_core.quality import metrics
from rescaling_core.rescale.decoded import restore_decoded
from rescaling_core.rescale.whole import downscale_pixels
from rescaling_core.zoo import restorers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rescaling_core.pixels.arrays import U8Array

Counted = Literal["payload", "residual", "file"]
COUNTED: Final[tuple[Counted, ...]] = ("payload", "residual", "file")
LR_QUALITY: Final = 20
LAYERED: Final = "layered-avif-lite"
QUALITIES: Final = (10, 16, 22, 28, 34, 40, 46, 54)
FLOORS: Final = (32.0, 33.0, 34.0, 35.0, 36.0)
STEP: Final = 16
"""Sides are cut to multiples of this."""

_LANCZOS: Final = FilterRescaler(kernel="lanczos", latent_policy=LatentPolicy("none"))


@dataclass(frozen=True, slots=True)
class Layers:
    """A picture and its enlarged small one."""

    name: str
    original: U8Array
    """(H, W, 3)."""
    enlarged: U8Array
    """(H, W, 3)."""
    lr_bytes: int


@dataclass(frozen=True, slots=True)
class Point:
    """One picture, coded once."""

    picture: str
    nbytes: float
    """Of the residual alone."""
    container: float
    """Bytes of them that are no coded samples."""
    sum_psnr_y: float
    psnr_y: float
    """Behind the final filter."""
    lr_bytes: int
    """Of the small picture that it comes with."""


def layers_of(path: Path, work: Path | None = None) -> Layers:
    """Make the small AVIF of a picture and enlarge it, as `viewable` does.

    Args:
        path: Of the picture.
        work: Where results are kept for the next time.
    """
    kept = None if work is None else work / f"{path.stem}.npz"
    if kept is not None and kept.exists():
        with np.load(kept) as found:
            return Layers(path.stem, found["original"], found["enlarged"], int(found["lr_bytes"]))
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    height, width = (side - side % STEP for side in pixels.shape[:2])
    made = layers(path.stem, np.ascontiguousarray(pixels[:height, :width]))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, original=made.original, enlarged=made.enlarged, lr_bytes=made.lr_bytes)
    return made


def layers(name: str, original: U8Array) -> Layers:
    """As `layers_of`, of pixels whose sides are even."""
    restorer = restorers.load(LAYERED)
    small = downscale_pixels(_LANCZOS, original, restorer.network.scale)
    data = codecs.encode(small, restorer.coding.spec(LR_QUALITY))
    enlarged = restore_decoded(codecs.decode(data), LR_QUALITY, restorer.network)
    return Layers(name, original, enlarged, len(data))


def avif_points(one: Layers, qualities: Iterable[int] = QUALITIES) -> list[Point]:
    """What luma is missing as AVIF 4:0:0, as the program codes it, with its own final filter."""
    final = restorers.load(LAYERED).final
    assert final is not None
    missing = differences.difference(one.original, one.enlarged, luma=True)
    points = []
    for quality in qualities:
        data = codecs.encode(missing, CodecSpec.parse("avif-420", quality))
        total = differences.add(one.enlarged, codecs.decode(data, channels=1))
        beside = [(one.enlarged, float(LR_QUALITY))]
        filtered = restore_decoded(total, quality, final.network, beside=beside)
        points.append(
            Point(
                one.name,
                len(data),
                len(data) - payload(data),
                metrics.psnr_y(total, one.original),
                metrics.psnr_y(filtered, one.original),
                one.lr_bytes,
            )
        )
    return points


def payload(data: bytes) -> int:
    """Bytes of coded samples in an AVIF file."""
    return sum(box.end - box.start for box in walk(data) if box.kind == b"mdat")


def curve(
    points: list[Point], picture: str, *, filtered: bool, counted: Counted
) -> list[tuple[float, float]]:
    """(bytes, PSNR-Y) of one picture, by rising bytes."""

    def nbytes(point: Point) -> float:
        if counted == "payload":
            return point.nbytes - point.container
        return point.nbytes + (point.lr_bytes if counted == "file" else 0)

    return sorted(
        (nbytes(point), point.psnr_y if filtered else point.sum_psnr_y)
        for point in points
        if point.picture == picture
    )


def compared(
    ours: list[Point], theirs: list[Point], *, filtered: bool, counted: Counted
) -> dict[float, tuple[int, float, float]]:
    """At each floor: pictures that both reach, and the bytes of ours and theirs, summed.

    Args:
        ours: Points of one coder.
        theirs: Of the other.
        filtered: Read PSNR-Y behind the final filter.
        counted: The payload of the residual; all of the residual; or the small picture too.
    """
    names = sorted({point.picture for point in ours})
    found = {}
    for floor in FLOORS:
        pairs = []
        for name in names:
            one, other = (
                bytes_at(curve(points, name, filtered=filtered, counted=counted), floor)
                for points in (ours, theirs)
            )
            if one and other:
                pairs.append((one, other))
        if pairs:
            first, second = (sum(column) for column in zip(*pairs, strict=True))
            found[floor] = (len(pairs), first, second)
    return found


def table(ours: list[Point], theirs: list[Point]) -> str:
    """Per cent more or fewer bytes than AVIF at each floor, as Markdown."""
    lines = [
        f"| bytes at equal PSNR-Y | {' | '.join(f'{floor:g} dB' for floor in FLOORS)} |",
        f"| --- |{' ---: |' * len(FLOORS)}",
    ]
    for filtered in (False, True):
        for counted in COUNTED:
            found = compared(ours, theirs, filtered=filtered, counted=counted)
            cells = [
                f"{100 * (found[f][1] / found[f][2] - 1):+.1f} % ({found[f][0]})"
                if f in found
                else ""
                for f in FLOORS
            ]
            what = f"{'behind the filter' if filtered else 'sum'}, {counted}"
            lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join(lines)
