"""Bytes of ours inside an LR file, where its container keeps what it does not know.

Each codec states the layout of its files; see `rescaling_core.containers.layout`.
"""

from __future__ import annotations

from typing import Final, Literal

from rescaling_core.codecs.spec import CODECS, codec_of
from rescaling_core.containers import headers
from rescaling_core.errors import CodecError

Kind = Literal["meta", "rsdl", "pack"]
"""Restoration metadata; a residual; a source file, packed."""

SIGNS: Final = tuple(dict.fromkeys(codec.layout.sign for codec in CODECS.values()))
"""Every file with an attachment holds one of these, and so may another by chance."""


def attach(data: bytes, kind: Kind, payload: bytes) -> bytes:
    """Put bytes into a file; what is attached already stays.

    Args:
        data: A file of one of the codecs; JPEG XL in its container.
        kind: What they are; one of a kind a file.
        payload: At most 2³¹ bytes.

    Raises:
        CodecError: The file is of another format, or cannot hold them.
    """
    codec = codec_of(data)
    if codec is None:
        name = headers.identify(data)
        raise CodecError(f"LR file: a file of format {name} takes no attachment")
    try:
        return codec.layout.insert(data, kind.encode(), payload)
    except ValueError as error:
        raise CodecError(f"LR file: {error}") from error


def without(data: bytes, kind: Kind) -> bytes:
    """The file without what is attached of a kind; the very file if there is nothing.

    Raises:
        CodecError: The file is damaged.
    """
    spans = [span for span, _ in _attached(data, kind)]
    for start, end in reversed(spans):
        data = data[:start] + data[end:]
    codec = codec_of(data)
    return codec.layout.mended(data) if spans and codec is not None else data


def read(data: bytes, kind: Kind) -> bytes | None:
    """Find what was attached; None if there is nothing of that kind.

    Raises:
        CodecError: The file is damaged.
    """
    parts = [part for _, part in _attached(data, kind)]
    return b"".join(parts) if parts else None


def _attached(data: bytes, kind: Kind) -> list[tuple[tuple[int, int], bytes]]:
    """What is attached of a kind, each with where its part of the container lies."""
    codec = codec_of(data)
    if codec is None:
        return []
    try:
        return [
            (span, part[4:]) for span, part in codec.layout.find(data) if part[:4] == kind.encode()
        ]
    except ValueError as error:
        raise CodecError(f"LR file: {error}") from error
