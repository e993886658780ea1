"""CPU time of previews of 1024 and 256 pixels, beside Pillow with draft, in one process.

    python -m benchmarks.previews
    python -m benchmarks.previews --megapixels 0.5 2 12 24 --rounds 5 --profile

JPEG photographs of each size, tiled from pictures of scikit-image. "Refold" is what a worker does
with the bytes of a source: digests, every check of the file, decoding, both previews as WebP, their
metadata, and reading back what was written. "Pillow" decodes with `draft`, resizes by Lanczos'
filter, 256 from 1024, and writes the same WebP files with the colour profile and EXIF. They take
turns, and the fastest round of each counts.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import io
import pstats
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from PIL import Image

from benchmarks.memory import write_source
from rescaling_core import SOFTWARE
from rescaling_core.codecs import CodecSpec
from rescaling_core.convert import Kept, Previews, SourceRef, least_side
from rescaling_core.photo import decode_reduced
from rescaling_core.plan import Candidate, Target, TargetPlan

if TYPE_CHECKING:
    from collections.abc import Callable

SIDES: Final = (1024, 256)
QUALITY: Final = 80

PLANS: Final = [
    TargetPlan(
        target=Target(long_edge=side),
        candidates=(Candidate("lanczos", CodecSpec.parse("webp", QUALITY)),),
    )
    for side in SIDES
]


def of_refold(data: bytes) -> int:
    """Bytes of both previews, as a worker makes them."""
    source = SourceRef(
        key="photo.jpg", etag="1", size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    targets = [plan.target for plan in PLANS]
    previews = Previews(decode_reduced(data, least_side(targets)), targets)
    made = 0
    for plan in PLANS:
        rendition = previews.make(source, plan, SOFTWARE)
        assert not isinstance(rendition, Kept)
        hashlib.sha256(rendition.lr_data).hexdigest()
        made += len(rendition.lr_data)
    return made


def of_pillow(data: bytes) -> int:
    """Bytes of both previews, as a script of twenty lines makes them."""
    made = 0
    with Image.open(io.BytesIO(data)) as image:
        image.draft("RGB", (SIDES[0], SIDES[0]))
        exif, icc = image.info.get("exif", b""), image.info.get("icc_profile")
        for side in SIDES:
            image.thumbnail((side, side), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            image.save(buffer, "WEBP", quality=QUALITY, method=4, exif=exif, icc_profile=icc)
            made += len(buffer.getvalue())
    return made


def cpu(call: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    begun = time.process_time()
    call()
    return time.process_time() - begun


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.5, 2, 12, 24])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="Where Refold's time goes.")
    given = parser.parse_args()
    print("| MP | JPEG kB | Pillow, CPU ms | Refold, CPU ms | ratio |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    with TemporaryDirectory() as folder:
        for megapixels in given.megapixels:
            side = round((megapixels * 1e6 / 12) ** 0.5)
            path = Path(folder) / "photo.jpg"
            write_source(path, 4 * side, 3 * side, "JPEG")
            data = path.read_bytes()
            of_refold(data), of_pillow(data)
            turns = [(cpu(lambda d=data: of_pillow(d)), cpu(lambda d=data: of_refold(d)))
                     for _ in range(given.rounds)]  # fmt: skip
            pillow, refold = (1000 * min(one) for one in zip(*turns, strict=True))
            print(
                f"| {megapixels:g} | {len(data) / 1000:.0f} | {pillow:.1f} | {refold:.1f} "
                f"| {refold / pillow:.2f} |"
            )
            if given.profile:
                profile = cProfile.Profile()
                profile.runcall(of_refold, data)
                pstats.Stats(profile).sort_stats("tottime").print_stats(14)


if __name__ == "__main__":
    main()
