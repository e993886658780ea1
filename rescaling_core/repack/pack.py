"""A source file as a pack, and back.

A pack is a byte 1, four bytes that say how long its description is (big-endian), the description
(JSON, ASCII), then what that names: pictures, one after the other, and behind them all other bytes
of the file. docs/formats.md says more.
"""

from __future__ import annotations

import hashlib
import json
import struct
from itertools import pairwise
from typing import Any, Final, cast

import numpy as np

from rescaling_core import limits
from rescaling_core.repack.coding import (
    PREDICTORS,
    Predictor,
    best_predictor,
    compressed,
    decompressed,
    predicted,
    restored,
)
from rescaling_core.repack.flat import Flat, Stream, deflated, flatten
from rescaling_core.repack.picture import unfolded
from rescaling_core.repack.planes import CODER
from rescaling_core.repack.samples import Samples, samples_in

_VERSION: Final = b"\x01"
MOST_UNPACKED: Final = 2**32 - 2**20
"""Bytes of a file that is packed, rows of a PNG inflated: about 4 GiB."""
_MOST_RUNS: Final = 1_000_000


def pack(data: bytes) -> bytes:
    """Pack a file. Whether it comes back is for the caller to see.

    Args:
        data: Of any kind.

    Raises:
        ValueError: It is too large, or a PNG of a kind that cannot be put together again.
    """
    flat = flatten(data)
    if len(flat.data) > MOST_UNPACKED:
        raise ValueError(f"{len(flat.data)} bytes: at most {MOST_UNPACKED} are packed")
    images: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    inside: list[tuple[int, int]] = []
    for samples in samples_in(flat.data) if not flat.streams else ():
        described, blob = _packed(flat.data, samples)
        images.append(described)
        blobs.append(blob)
        inside += samples.runs
    rest = _without(flat.data, inside)
    coder, coded = compressed(rest)
    return assembled(flat, images, blobs, (coder, len(rest), coded))


def assembled(
    flat: Flat, images: list[dict[str, Any]], blobs: list[bytes], rest: tuple[str, int, bytes]
) -> bytes:
    """A pack of its parts.

    Args:
        flat: The file that comes back, rows of a PNG inflated.
        images: What is said of each picture.
        blobs: Their bytes, in the same order.
        rest: How all other bytes are coded, how many they are, and the bytes.
    """
    coder, length, coded = rest
    description = {
        "size": len(flat.data),
        "sha256": hashlib.sha256(flat.data).hexdigest(),
        "images": images,
        "rest": [coder, length, len(coded)],
        "streams": [
            [one.at, one.length, one.kind, [prefix.hex() for prefix in one.prefixes]]
            for one in flat.streams
        ],
    }
    text = json.dumps(description, separators=(",", ":")).encode("ascii")
    return b"".join((_VERSION, struct.pack(">L", len(text)), text, *blobs, coded))


def unpack(packed: bytes, *, most: int) -> bytes:
    """The file that `pack` was given; of a PNG, the same but for how its rows are deflated.

    Args:
        packed: The pack.
        most: Bytes that the file may have, rows of a PNG inflated.

    Raises:
        ValueError: It is damaged, of a later version, or of a larger file.
    """
    try:
        return _unpacked(packed, most)
    except (KeyError, TypeError, IndexError, struct.error, OverflowError, MemoryError) as error:
        raise ValueError(f"a damaged pack: {type(error).__name__}: {error}") from error


def same_file(a: bytes, b: bytes) -> bool:
    """Whether two files are the same, but for how rows of PNG files are deflated."""
    if a == b:
        return True
    try:
        one, other = flatten(a), flatten(b)
    except ValueError:
        return False
    return bool(one.streams) and one == other


def _unpacked(packed: bytes, most: int) -> bytes:
    if packed[:1] != _VERSION:
        raise ValueError("a pack of a later version: a newer release is needed")
    (length,) = struct.unpack_from(">L", packed, 1)
    at = 5 + length
    description: dict[str, Any] = limits.read_json(packed[5:at])
    size = int(description["size"])
    if not 0 <= size <= most:
        raise ValueError(f"a pack of {size} bytes: at most {most} are unpacked")
    data = bytearray(size)
    taken: list[tuple[int, int]] = []
    for image in description["images"]:
        blob = packed[at : at + int(image["length"])]
        at += len(blob)
        runs = [(int(start), int(count)) for start, count in image["runs"]]
        taken += runs
        if len(taken) > _MOST_RUNS:
            raise ValueError(f"a pack of more than {_MOST_RUNS} runs")
        length = sum(count for _, count in runs)
        is_coded = image["coder"] == CODER
        samples = (unfolded if is_coded else _samples)(image, blob, length, most)
        for start, count in runs:
            data[start : start + count], samples = samples[:count], samples[count:]
    coder, length, coded = description["rest"]
    rest = decompressed(coder, packed[at : at + coded], min(int(length), most))
    for start, end in _gaps(size, taken):
        data[start:end], rest = rest[: end - start], rest[end - start :]
    if rest or len(data) != size or hashlib.sha256(data).hexdigest() != description["sha256"]:
        raise ValueError("a damaged pack: what it unpacks to is not the file")
    streams = tuple(
        Stream(int(start), int(count), str(kind), tuple(map(bytes.fromhex, prefixes)))
        for start, count, kind, prefixes in description["streams"]
    )
    return deflated(Flat(bytes(data), streams)) if streams else bytes(data)


def _packed(data: bytes, samples: Samples) -> tuple[dict[str, Any], bytes]:
    raw = b"".join(data[at : at + length] for at, length in samples.runs)
    order = ">" if samples.big_endian else "<"
    values = np.frombuffer(raw, f"{order}u{samples.size}")
    values = values.reshape(-1, samples.width, samples.bands)
    how = best_predictor(values)
    coder, blob = compressed(predicted(values, how), is_noise=True)
    described = {
        "runs": samples.runs,
        "shape": values.shape,
        "bytes": samples.size,
        "big": samples.big_endian,
        "predictor": how,
        "coder": coder,
        "length": len(blob),
    }
    return described, blob


def _samples(image: dict[str, Any], blob: bytes, length: int, most: int) -> bytes:
    height, width, bands = (int(one) for one in image["shape"])
    size, how = int(image["bytes"]), image["predictor"]
    if size not in (1, 2, 4) or how not in PREDICTORS or min(height, width, bands) < 1:
        raise ValueError("a damaged pack: samples of an unknown kind")
    if height * width * bands * size != length or length > most:
        raise ValueError("a damaged pack: its samples do not fill their runs")
    planes = decompressed(image["coder"], blob, length)
    shape = (height, width, bands)
    return restored(planes, cast("Predictor", how), shape, size, big_endian=bool(image["big"]))


def _without(data: bytes, runs: list[tuple[int, int]]) -> bytes:
    return b"".join(data[start:end] for start, end in _gaps(len(data), runs))


def _gaps(size: int, runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What of a file no run covers.

    Raises:
        ValueError: Runs overlap, or lie outside.
    """
    spans = sorted((at, at + length) for at, length in runs)
    edges = [(0, 0), *spans, (size, size)]
    found = []
    for (_, end), (start, _) in pairwise(edges):
        if start < end:
            raise ValueError("a damaged pack: its runs overlap or lie outside the file")
        found.append((end, start))
    return found
