"""What PNG holds that Pillow does not tell: bit depth, check sums, chunks to carry."""

from __future__ import annotations

import zlib
from typing import Final

from rescaling_core.errors import UnreadableImageError, UnsupportedImageError
from rescaling_core.photo.headers import png_chunks

_READ_ELSEWHERE: Final = (b"tRNS", b"iCCP", b"eXIf", b"pHYs")
XMP_KEYWORD: Final = b"XML:com.adobe.xmp\0"


def check(data: bytes) -> None:
    """Refuse a damaged PNG, and one of 16 bits per sample, which Pillow cuts to 8.

    Raises:
        UnreadableImageError: It ends early, or a check sum does not match.
        UnsupportedImageError: It has 16 bits per sample.
    """
    try:
        chunks = png_chunks(data)
    except ValueError as error:
        raise UnreadableImageError(f"PNG: damaged or truncated: {error}") from error
    view = memoryview(data)
    for kind, at, length in chunks:
        stated = int.from_bytes(data[at + length : at + length + 4], "big")
        if zlib.crc32(view[at - 4 : at + length]) != stated:
            raise UnreadableImageError(f"PNG: damaged: wrong check sum of chunk {kind!r}")
    if data[24] == 16:
        raise UnsupportedImageError("16-bit samples: the networks carry 8-bit grey and RGB only")


def ancillary_chunks(data: bytes) -> tuple[tuple[str, bytes], ...]:
    """The chunks that are neither pixels nor read into a field of `Photo`."""
    return tuple(
        (kind.decode("latin-1"), data[at : at + length])
        for kind, at, length in png_chunks(data)
        if kind[:1].islower()
        and kind not in _READ_ELSEWHERE
        and not (kind == b"iTXt" and data[at : at + length].startswith(XMP_KEYWORD))
    )
