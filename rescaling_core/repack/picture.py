"""The picture of a pack whose colours are coded with a loss, its alpha without."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rescaling_core.containers import isobmff
from rescaling_core.repack import planes
from rescaling_core.repack.blocks import Blocks
from rescaling_core.repack.coding import compressed, decompressed, predicted, restored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.pixels.arrays import U16Array

_ALPHA_PREDICTOR: Final = "gradient"


def folded_alpha(alpha: U16Array) -> tuple[str, bytes]:
    """Alpha, (H, W, 1), without loss: the name of its coder, and the bytes."""
    return compressed(predicted(alpha, _ALPHA_PREDICTOR))


def described(
    blocks: Blocks, runs: tuple[tuple[int, int], ...], colours: int, alpha: tuple[str, int] | None
) -> dict[str, Any]:
    """What a pack says of such a picture.

    Args:
        blocks: How it fills its runs.
        runs: Where they are.
        colours: Bytes of the coded colours.
        alpha: Its coder and bytes, which follow those of the colours.
    """
    return {
        "coder": planes.CODER,
        "runs": runs,
        **blocks.to_json(),
        "colours": colours,
        "alpha": alpha,
        "length": colours + (0 if alpha is None else alpha[1]),
    }


def unfolded(image: Mapping[str, Any], blob: bytes, length: int, most: int) -> bytes:
    """The bytes of all runs of such a picture.

    Args:
        image: What the pack says of it.
        blob: Its coded colours, and its alpha.
        length: Bytes of its runs.
        most: Bytes that a file may have.

    Raises:
        ValueError: It is damaged.
        CodecUnavailableError: What decodes it is not installed.
    """
    blocks = Blocks.of_json(image)
    height, width, bands = blocks.shape
    if blocks.nbytes != length or length > most:
        raise ValueError("a damaged pack: its samples do not fill their runs")
    colours = blob[: int(image["colours"])]
    if _stated_size(colours) != (width, height):  # before room is made for its pixels
        raise ValueError("a damaged pack: a coded picture of another size")
    shape = height, width, bands - (bands in (2, 4))
    samples = planes.decoded(colours, shape)
    if bands in (2, 4):
        coder, count = image["alpha"]
        coded = blob[len(colours) : len(colours) + int(count)]
        raw = decompressed(coder, coded, height * width * 2)
        flat = restored(raw, _ALPHA_PREDICTOR, (height, width, 1), 2, big_endian=False)
        alpha = np.frombuffer(flat, "<u2").reshape(height, width, 1)
        samples = np.concatenate((samples, alpha), axis=2)
    return blocks.filled(samples)


def _stated_size(avif: bytes) -> tuple[int, int] | None:
    meta = isobmff.read_meta(avif)
    item = meta.items.get(meta.primary)
    for kind, content in () if item is None else item.properties:
        if kind == b"ispe" and len(content) >= 12:
            width, height = struct.unpack_from(">II", content, 4)
            return width, height
    return None
