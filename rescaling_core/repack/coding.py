"""Samples and other bytes in fewer bytes, by what Python itself brings.

A sample is predicted from its neighbours, what is left is cut into planes of its bytes, the upper
ones first, and each is compressed. Nothing rounds: differences wrap around.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Predictor = Literal["none", "left", "gradient"]
PREDICTORS: Final[tuple[Predictor, ...]] = ("none", "left", "gradient")
"""Left: the sample of the same band before. Gradient: left plus above less above left."""

_FILTERS: Final = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 2**24}]
"""A reader takes as much memory as the dictionary has, whatever it is given."""
_LONG: Final = 2**23
"""Bytes of which LZMA would take half a minute."""
_GLANCE: Final = 2**20
"""Bytes that are tried in haste."""
_HOPELESS: Final = 0.97
"""Bytes that deflate in haste to more than this are stored as they are: photographs in JPEG."""


def compressed(data: bytes, *, is_noise: bool = False) -> tuple[str, bytes]:
    """The name of a coder, and the bytes.

    Args:
        data: What is to be compressed.
        is_noise: Whether it is what prediction left over: LZMA takes a fiftieth off that and three
            times as long.
    """
    middle = max(0, len(data) // 2 - _GLANCE // 2)
    glance = data[middle : middle + _GLANCE]
    if len(zlib.compress(glance, 1)) > _HOPELESS * len(glance):
        return "stored", data
    if is_noise or len(data) > _LONG:
        coder, coded = "bzip2", bz2.compress(data)
    else:
        coder, coded = "lzma", lzma.compress(data, lzma.FORMAT_RAW, filters=_FILTERS)
    return (coder, coded) if len(coded) < len(data) else ("stored", data)


def decompressed(coder: str, coded: bytes, length: int) -> bytes:
    """What `compressed` was given.

    Raises:
        ValueError: It is damaged, or of another length.
    """
    if coder == "stored":
        data = coded
    elif coder in ("lzma", "bzip2"):
        try:
            if coder == "lzma":
                stream = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
                data = stream.decompress(coded, max_length=length + 1)
            else:
                data = bz2.BZ2Decompressor().decompress(coded, max_length=length + 1)
        except (lzma.LZMAError, OSError, EOFError) as error:
            raise ValueError(f"packed bytes are damaged: {error}") from error
    else:
        raise ValueError(f"packed by {coder!r:.20}, which is not known: a newer release is needed")
    if len(data) != length:
        raise ValueError(f"packed bytes unpack to {len(data)}, not to {length}")
    return data


def predicted(values: NDArray[np.unsignedinteger], how: Predictor) -> bytes:
    """Differences from what is predicted, as planes of bytes.

    Args:
        values: (H, W, C), big-endian or little-endian unsigned.
        how: The predictor.
    """
    left = values.astype(values.dtype.newbyteorder("="))
    if how != "none":
        left[:, 1:] = left[:, 1:] - left[:, :-1]
    if how == "gradient":
        left[1:] = left[1:] - left[:-1]
    planes = np.ascontiguousarray(left.astype(left.dtype.newbyteorder(">")))
    return planes.view(np.uint8).reshape(-1, values.dtype.itemsize).T.tobytes()


def restored(
    planes: bytes, how: Predictor, shape: tuple[int, int, int], size: int, *, big_endian: bool
) -> bytes:
    """The samples that `predicted` was given, as their file has them."""
    split = np.frombuffer(planes, np.uint8).reshape(size, -1).T
    values = np.ascontiguousarray(split).view(f">u{size}").reshape(shape)
    values = values.astype(f"=u{size}")
    if how == "gradient":
        np.add.accumulate(values, axis=0, dtype=values.dtype, out=values)
    if how != "none":
        np.add.accumulate(values, axis=1, dtype=values.dtype, out=values)
    return values.astype(f"{'>' if big_endian else '<'}u{size}").tobytes()


def best_predictor(values: NDArray[np.unsignedinteger]) -> Predictor:
    """The one after which a part of the middle deflates best."""
    rows = max(1, _GLANCE // max(1, values[0].nbytes))
    top = max(0, len(values) // 2 - rows // 2)
    part = values[top : top + rows]
    return min(PREDICTORS, key=lambda how: len(zlib.compress(predicted(part, how), 1)))
