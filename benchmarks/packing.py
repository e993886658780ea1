"""What packing a deep scan takes.

    python -m benchmarks.packing [MEGAPIXELS]

Packs an uncompressed 16-bit RGB TIFF of a photograph with a little noise, and unpacks it again.
"""

from __future__ import annotations

import io
import sys
import time

import numpy as np
import skimage.data
import tifffile

from rescaling_core.repack import MOST_UNPACKED, pack, unpack


def main(megapixels: float = 3.0) -> None:
    """Print seconds and bytes."""
    photo = skimage.data.astronaut().astype(np.int32) * 257
    side = int((megapixels * 1e6) ** 0.5)
    tiled = np.tile(photo, (side // 512 + 1, side // 512 + 1, 1))[:side, :side]
    noise = np.random.default_rng(1).normal(0, 200, tiled.shape)
    buffer = io.BytesIO()
    samples = np.clip(tiled + noise, 0, 65535).astype(np.uint16)
    tifffile.imwrite(buffer, samples, photometric="rgb")
    data = buffer.getvalue()
    started = time.perf_counter()
    packed = pack(data)
    between = time.perf_counter()
    same = unpack(packed, most=MOST_UNPACKED) == data
    ended = time.perf_counter()
    print(
        f"{len(data) / 1e6:.1f} MB of {side} x {side}: {len(packed) / len(data):.3f} of the bytes, "
        f"packed in {between - started:.1f} s, unpacked in {ended - between:.1f} s, same: {same}"
    )


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
