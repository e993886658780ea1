"""Files of one picture of 16 bits a sample, cut into that picture and all other bytes.

With other samples in the place of its own, such a file is still what it was: its tags, profile and
layout lie in the other bytes. What its samples were compressed with is not kept: a TIFF comes back
without compression, a PNG with other filters.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.containers import png
from rescaling_core.containers.tiff import Tiff
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.repack.blocks import Blocks
from rescaling_core.repack.flat import Stream, flatten
from rescaling_core.repack.library import imagecodecs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.pixels.arrays import U16Array

_NETPBM: Final = re.compile(
    rb"P([56])(?:[ \t\r\n]+|#[^\n]*\n)+(\d{1,6})[ \t\r\n]+(\d{1,6})[ \t\r\n]+65535[ \t\r\n]"
)
_LONG: Final = {3: "H", 4: "L", 16: "Q"}
"""Types of TIFF that state an offset or a length."""
_COLOURS: Final = {0: 1, 1: 1, 2: 3}
"""Planes of colour by TIFF's photometric interpretation."""
_PNG_BANDS: Final = {0: 1, 2: 3, 4: 2, 6: 4}


@dataclass(frozen=True, slots=True)
class DeepFile:
    """A file, and the picture in it."""

    flat: bytes
    """The file, its samples in `runs` as they are without compression."""
    runs: tuple[tuple[int, int], ...]
    """Offset and length of each."""
    blocks: Blocks
    """How the samples fill the runs."""
    samples: U16Array
    """(H, W, bands): grey or RGB, and alpha as the last where there are two or four."""
    streams: tuple[Stream, ...] = ()
    """What is deflated again, of a PNG."""

    @property
    def colours(self) -> U16Array:
        """(H, W, C), C = 1 or 3."""
        bands = self.samples.shape[2]
        return self.samples[..., : bands - 1] if bands in (2, 4) else self.samples

    @property
    def alpha(self) -> U16Array | None:
        """(H, W, 1)."""
        return self.samples[..., -1:] if self.samples.shape[2] in (2, 4) else None

    @property
    def frame(self) -> bytes:
        """All bytes that are not samples."""
        parts, at = [], 0
        for start, length in sorted(self.runs):
            parts.append(self.flat[at:start])
            at = start + length
        return b"".join((*parts, self.flat[at:]))

    def with_samples(self, samples: U16Array) -> bytes:
        """The flat file with other samples of the same shape."""
        found, filled, at = bytearray(self.flat), self.blocks.filled(samples), 0
        for start, length in self.runs:
            found[start : start + length] = filled[at : at + length]
            at += length
        return bytes(found)


def deep_file(data: bytes) -> DeepFile:
    """Cut a file.

    Args:
        data: A TIFF, PNG or Netpbm of one picture of 16 bits, grey or RGB, with alpha or without.

    Raises:
        UnsupportedImageError: It is of another kind; the message says of which.
        CodecUnavailableError: What reads it is not installed.
    """
    try:
        if data.startswith(png.SIGNATURE):
            return _of_png(data)
        if data[:2] in (b"II", b"MM"):
            return _of_tiff(data)
        return _of_netpbm(data)
    except UnsupportedImageError:
        raise
    except (ValueError, RuntimeError, struct.error, zlib.error, OverflowError) as error:
        raise UnsupportedImageError(f"its samples cannot be taken out: {error}") from error


def _of_netpbm(data: bytes) -> DeepFile:
    match = _NETPBM.match(data)
    if match is None:
        raise UnsupportedImageError("not a TIFF, PNG or Netpbm of 16 bits a sample")
    shape = int(match[3]), int(match[2]), 3 if match[1] == b"6" else 1
    blocks = Blocks(shape, big_endian=True)
    at = match.end()
    if min(shape) < 1 or at + blocks.nbytes > len(data):
        raise UnsupportedImageError("Netpbm whose picture is not whole")
    samples = blocks.picked(data[at : at + blocks.nbytes])
    return DeepFile(data, ((at, blocks.nbytes),), blocks, samples)


def _of_png(data: bytes) -> DeepFile:
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    if depth != 16 or colour not in _PNG_BANDS:
        raise UnsupportedImageError("a PNG of fewer than 16 bits a sample")
    flat = flatten(data)
    if len(flat.streams) != 1 or any(kind == b"acTL" for kind, _, _ in png.walk(data)):
        raise UnsupportedImageError("an animated PNG: only one picture can be of other samples")
    if any(kind == b"tRNS" for kind, _, _ in png.walk(data)):
        raise UnsupportedImageError("a transparent colour key: a restored colour would miss it")
    bands = _PNG_BANDS[colour]
    samples = np.asarray(imagecodecs().png_decode(data)).reshape(height, width, bands)
    if samples.dtype != np.uint16:
        raise UnsupportedImageError("a PNG that is not decoded at 16 bits")
    (stream,) = flat.streams
    blocks = Blocks((height, width, bands), big_endian=True, order="png")
    # Passes of an interlaced one are not kept.
    header = data[16:28] + b"\0"
    head = data[:8] + png.chunk(b"IHDR", header) + flat.data[33 : stream.at]
    whole = head + bytes(blocks.nbytes) + flat.data[stream.at + stream.length :]
    only = replace(stream, length=blocks.nbytes, prefixes=(b"",))
    return DeepFile(whole, ((stream.at, blocks.nbytes),), blocks, samples, (only,))


def _of_tiff(data: bytes) -> DeepFile:
    tiff = Tiff(data)
    tags = [entry.tag for entry in tiff.first.entries]
    bands, colours = tiff.value(277, 1), _COLOURS.get(tiff.value(262, -1))
    depths, kinds = (tiff.numbers(tiff.entry(tag)) for tag in (258, 339))
    if len(set(tags)) != len(tags):
        raise UnsupportedImageError("TIFF with a tag twice: it is not clear which counts")
    if set(depths) != {16} or set(kinds) - {1}:
        raise UnsupportedImageError("a TIFF of samples other than 16-bit whole numbers")
    if colours is None or bands - colours not in (0, 1) or tiff.value(266, 1) != 1:
        raise UnsupportedImageError("a TIFF of samples other than grey or RGB, alpha aside")
    if tiff.first.following or 330 in tags:
        raise UnsupportedImageError("a TIFF of several pictures")
    shape = tiff.value(257, 0), tiff.value(256, 0), bands
    planar = tiff.value(284, 1) == 2 and bands > 1
    tiled = 322 in tags
    tile = (tiff.value(323, 0), tiff.value(322, 0)) if tiled else None
    if min(shape) < 1 or (tile is not None and min(tile) < 1):
        raise UnsupportedImageError("a TIFF without a size")
    order = "planes" if planar else "rows"
    blocks = Blocks(shape, tiff.order == ">", order, tile)  # type: ignore[arg-type]
    lengths = _lengths(blocks, tiff.value(278, shape[0]))
    places = tiff.numbers(tiff.entry(324 if tiled else 273))
    counts = tiff.numbers(tiff.entry(325 if tiled else 279))
    if not len(places) == len(counts) == len(lengths):
        raise UnsupportedImageError("a TIFF some of whose parts are missing")
    if tiff.value(259, 1) == 1:
        if any(count < length for count, length in zip(counts, lengths, strict=True)):
            raise UnsupportedImageError("a TIFF some of whose parts are cut")
        runs = tuple(zip(places, lengths, strict=True))
        held = b"".join(data[at : at + length] for at, length in runs)
        return DeepFile(data, _apart(runs, len(data)), blocks, blocks.picked(held))
    parts = [
        _unpacked(tiff, data[at : at + count], length, blocks)
        for at, count, length in zip(places, counts, lengths, strict=True)
    ]
    flat, starts = _without_compression(tiff, tuple(zip(places, counts, strict=True)), lengths)
    samples = blocks.picked(b"".join(parts))
    return DeepFile(flat, tuple(zip(starts, lengths, strict=True)), blocks, samples)


def _apart(runs: tuple[tuple[int, int], ...], size: int) -> tuple[tuple[int, int], ...]:
    end = 0
    for start, length in sorted(runs):
        if start < end or start + length > size:
            raise UnsupportedImageError("a TIFF whose parts overlap or lie outside the file")
        end = start + length
    return runs


def _lengths(blocks: Blocks, rows: int) -> list[int]:
    """Bytes of every strip or tile without compression."""
    height, width, bands = blocks.shape
    planes = bands if blocks.order == "planes" else 1
    each = 2 * bands // planes
    if blocks.tile is not None:
        down, across = blocks.tile
        count = -(-height // down) * -(-width // across)
        return [down * across * each] * count * planes
    rows = min(max(rows, 1), height)
    strips = [min(rows, height - top) * width * each for top in range(0, height, rows)]
    return strips * planes


def _unpacked(tiff: Tiff, coded: bytes, length: int, blocks: Blocks) -> bytes:
    """A strip or tile without compression.

    Raises:
        UnsupportedImageError: It is compressed in a way that is not known here.
        ValueError: It is damaged.
    """
    how = tiff.value(259, 1)
    if how in (8, 32946):
        data = zlib.decompressobj().decompress(coded, length)
    elif how == 5:
        data = bytes(imagecodecs().lzw_decode(coded, out=length))
    elif how == 50000:
        data = bytes(imagecodecs().zstd_decode(coded, out=length))
    elif how == 32773:
        data = bytes(imagecodecs().packbits_decode(coded, out=length))
    else:
        raise UnsupportedImageError(f"a TIFF compressed by method {how}, which is not known here")
    if len(data) != length:
        raise ValueError(f"a part unpacks to {len(data)} bytes, not to {length}")
    predictor = tiff.value(317, 1)
    if predictor == 1:
        return data
    if predictor != 2:
        raise UnsupportedImageError(f"a TIFF of predictor {predictor}, which is not known here")
    kind = f"{tiff.order}u2"
    width = blocks.tile[1] if blocks.tile is not None else blocks.shape[1]
    bands = 1 if blocks.order == "planes" else blocks.shape[2]
    values = np.frombuffer(data, kind).astype(np.uint16).reshape(-1, width, bands)
    np.add.accumulate(values, axis=1, dtype=np.uint16, out=values)
    return values.astype(kind).tobytes()


def _without_compression(
    tiff: Tiff, held: tuple[tuple[int, int], ...], lengths: Sequence[int]
) -> tuple[bytes, list[int]]:
    """The file with room for its samples without compression, and where that is.

    Where the compressed parts are the end of the file they make way; else zeros take their place.

    Raises:
        UnsupportedImageError: A tag has no room for the numbers.
    """
    _apart(held, len(tiff.data))
    file, end = bytearray(tiff.data), len(tiff.data)
    for start, count in sorted(held, reverse=True):
        if end - (start + count) <= 1:
            end = start
        else:
            file[start : start + count] = bytes(count)
    for start, count in held:
        if start < end:
            file[start : start + count] = bytes(count)
    del file[end:]
    starts = []
    file += bytes(len(file) % 2)
    for length in lengths:
        starts.append(len(file))
        file += bytes(length + length % 2)
    tiled = tiff.entry(322) is not None
    wanted = {259: [1], 317: [1], (324 if tiled else 273): starts}
    wanted[325 if tiled else 279] = list(lengths)
    for tag, numbers in wanted.items():
        entry = tiff.entry(tag)
        if entry is None:
            continue
        code = _LONG.get(entry.type)
        if code is None or entry.at + entry.length > end:
            raise UnsupportedImageError(f"a TIFF whose tag {tag} has no room for other numbers")
        struct.pack_into(f"{tiff.order}{len(numbers)}{code}", file, entry.at, *numbers)
    return bytes(file), starts
