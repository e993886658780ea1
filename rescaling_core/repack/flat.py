"""PNG files with their rows inflated, and back."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from rescaling_core.containers import png

_SEQUENCE: Final = 4
"""Bytes of the number that each chunk of a frame begins with."""
_MOST_RATIO: Final = 1032
"""Deflate makes no byte of more than these."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One picture or frame whose compressed chunks were taken out of a PNG."""

    at: int
    """Where its inflated bytes lie."""
    length: int
    """How many there are."""
    kind: str
    """`IDAT` or `fdAT`."""
    prefixes: tuple[bytes, ...]
    """What each of its chunks begins with: a number in a frame, nothing else."""


@dataclass(frozen=True, slots=True)
class Flat:
    """A file whose samples are not compressed."""

    data: bytes
    streams: tuple[Stream, ...] = ()
    """Empty for formats whose bytes are all kept as they are."""


def flatten(data: bytes) -> Flat:
    """Inflate the rows of a PNG; another file stays as it is.

    Raises:
        ValueError: A PNG is damaged, or deflated rows do not end where their chunks do.
    """
    if not data.startswith(png.SIGNATURE):
        return Flat(data)
    out = bytearray(png.SIGNATURE)
    streams: list[Stream] = []
    waiting: list[tuple[str, bytes, bytes]] = []
    chunks = png.walk(data)
    if any(kind == b"iDOT" for kind, _, _ in chunks):
        raise ValueError("PNG: it says where in its compressed rows a reader may start")

    def close() -> None:
        if waiting:
            rows = _inflated(b"".join(content for _, _, content in waiting), len(data))
            prefixes = tuple(prefix for _, prefix, _ in waiting)
            streams.append(Stream(len(out), len(rows), waiting[0][0], prefixes))
            out.extend(rows)
            waiting.clear()

    end = len(png.SIGNATURE)
    for kind, at, length in chunks:
        if kind in (b"IDAT", b"fdAT"):
            if waiting and waiting[0][0] != kind.decode():
                close()
            prefix = _SEQUENCE if kind == b"fdAT" else 0
            content = data[at : at + length]
            waiting.append((kind.decode(), content[:prefix], content[prefix:]))
        else:
            close()
            out.extend(data[at - 8 : at + length + 4])
        end = at + length + 4
    close()
    out.extend(data[end:])
    return Flat(bytes(out), tuple(streams))


def deflated(flat: Flat) -> bytes:
    """Make the PNG again, its rows deflated into as many chunks as before."""
    parts, at = [], 0
    for stream in flat.streams:
        parts.append(flat.data[at : stream.at])
        at = stream.at + stream.length
        coded = zlib.compress(flat.data[stream.at : at], 6)
        count = len(stream.prefixes)
        cuts = [len(coded) * i // count for i in range(count + 1)]
        parts += [
            png.chunk(stream.kind.encode(), prefix + coded[start:end])
            for prefix, start, end in zip(stream.prefixes, cuts, cuts[1:], strict=False)
        ]
    return b"".join((*parts, flat.data[at:]))


def _inflated(coded: bytes, size: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        rows = stream.decompress(coded, _MOST_RATIO * size)
    except zlib.error as error:
        raise ValueError(f"PNG: its rows cannot be inflated: {error}") from error
    if not stream.eof or stream.unused_data:
        raise ValueError("PNG: its deflated rows do not end where their chunks do")
    return rows
