"""CPU time of an image for training: out of an archive, beside the original JPEG files.

    python -m benchmarks.training_data --images 12 --megapixels 1

Photographs of generated content are written as JPEG (quality 90) and archived, each by two plans:
at full size as AVIF, and at half size with a network. All are read by one thread of this process,
in turn, `--rounds` times; the median counts, as a ratio to Pillow cutting 224 x 224 pixels out of
the middle of the JPEG files.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from PIL import Image

from benchmarks.memory import write_source
from rescaling_core.codecs import CodecSpec
from rescaling_core.pixels.tiles import DEFAULT_TILING
from rescaling_core.plan import ArchivePlan, Candidate, Target, TargetPlan
from tasks.datasets import ArchiveDataset
from tasks.datasets.reader import middle_of
from tests.every_rescaler import write

if TYPE_CHECKING:
    from collections.abc import Callable

CUT: Final = (224, 224)


def sources(folder: Path, count: int, megapixels: float) -> list[tuple[str, bytes]]:
    """JPEG files of some content: each another part of one large picture."""
    side = round((megapixels * 1e6 / 12) ** 0.5)
    width, height = 4 * side, 3 * side
    path = folder / "all.png"
    write_source(path, width + 16 * count, height, "PNG")
    made = []
    with Image.open(path) as picture:
        for number in range(count):
            buffer = io.BytesIO()
            part = picture.crop((16 * number, 0, 16 * number + width, height))
            part.save(buffer, "JPEG", quality=90)
            made.append((f"{number:04}.jpg", buffer.getvalue()))
    return made


def archived(folder: Path, files: list[tuple[str, bytes]], rescaler: str, codec: str) -> str:
    """The URL of an archive of the files."""
    folder.mkdir()
    target = Target.parse("x2")
    candidate = Candidate(rescaler, CodecSpec.parse(codec, 60))
    plan = ArchivePlan(targets=(TargetPlan(target=target, candidates=(candidate,)),))
    return write(folder, [(key, data, "x2", plan) for key, data in files], DEFAULT_TILING).url


def of_pillow(data: bytes, size: tuple[int, int] | None, *, draft: bool) -> torch.Tensor:
    """What a dataset over JPEG files does."""
    with Image.open(io.BytesIO(data)) as image:
        if size is not None:
            area = middle_of(image.size, size)
            if draft:
                image.draft("RGB", size)
                area = middle_of(image.size, size)
            box = (area.left, area.top, area.right, area.bottom)
            picture = image.resize(size, Image.Resampling.LANCZOS, box=box)
        else:
            picture = image.convert("RGB")
        return torch.from_numpy(np.array(picture).transpose(2, 0, 1).copy())


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = sources(folder, given.images, given.megapixels)
        full = archived(folder / "full", files, "none", "avif-420")
        half = archived(folder / "half", files, "irn-x2-lite", "avif")
        numbers = range(given.images)

        def pillow(size: tuple[int, int] | None, *, draft: bool = False) -> Callable[[], object]:
            return lambda: [of_pillow(data, size, draft=draft) for _, data in files]

        def read(dataset: ArchiveDataset) -> Callable[[], object]:
            return lambda: [dataset[number] for number in numbers]

        cases = {
            "JPEG, 224 x 224, Pillow": pillow(CUT),
            "JPEG, 224 x 224, Pillow with draft": pillow(CUT, draft=True),
            "AVIF at full size, 224 x 224": read(ArchiveDataset(full, size=CUT)),
            "irn-x2-lite, 224 x 224": read(ArchiveDataset(half, size=CUT)),
            "JPEG, whole, Pillow": pillow(None),
            "AVIF at full size, whole": read(ArchiveDataset(full, size="hr")),
            'irn-x2-lite, size="lr"': read(ArchiveDataset(half)),
            "irn-x2-lite, whole": read(ArchiveDataset(half, size="hr")),
        }
        taken: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(given.rounds + 1):
            for name, case in cases.items():
                begun = time.process_time()
                case()
                taken[name].append(time.process_time() - begun)
    first = statistics.median(next(iter(taken.values()))[1:])
    print("| what | CPU ms an image | ratio |\n| --- | ---: | ---: |")
    for name, seconds in taken.items():  # the first round loads networks
        middle = statistics.median(seconds[1:])
        print(f"| {name} | {1000 * middle / given.images:.1f} | {middle / first:.2f} |")


if __name__ == "__main__":
    main()
