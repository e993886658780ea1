"""PNG sources: check sums, bit depth, colours, and a picture that is whole."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from rescaling_core.containers import exif, png
from rescaling_core.containers.parts import METADATA, UNKNOWN
from rescaling_core.errors import UnreadableImageError, UnsupportedImageError
from rescaling_core.photo.foreign import foreign_of, refuse_gain_map, refuse_too_much
from rescaling_core.photo.opening import check_size, open_image
from rescaling_core.photo.record import TOO_DEEP, Photo, Traits
from rescaling_core.photo.sources.shared import load, named, refuse_mode, stated_dpi

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rescaling_core.containers.parts import Part
    from rescaling_core.photo.sources.shared import Limits

_SRGB_GAMMA: Final = 45455
_SRGB_CHROMATICITIES: Final = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SRGB_CODE_POINTS: Final = bytes((1, 13, 0, 1))
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel, by colour type."""
_PASSES: Final = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
)  # fmt: skip
"""First column, first row, and steps of both, of the passes of an interlaced picture."""
_AT_ONCE: Final = 2**20
"""Bytes unpacked together."""
_MANIFEST: Final = "caBX"
"""C2PA's chunk. It is not safe to copy, but what it holds is carried."""


def decode(data: bytes, limits: Limits) -> Photo:
    """Decode a PNG.

    Raises:
        UnreadableImageError: It ends early, a check sum is wrong, or rows are missing.
        UnsupportedImageError: It would lose something; the message says what.
    """
    chunks = _checked(data)
    parts = png.parts(data)
    _refuse_unknown(parts)
    sizes = [part.length for part in parts if part.kind in (METADATA, UNKNOWN)]
    refuse_too_much(sizes, limits.max_carried)
    foreign = foreign_of(data, parts)
    with open_image(png.of_picture(data), max_pixels=limits.max_pixels) as image:
        refuse_mode(image)
        _refuse_missing_rows(data, chunks, limits.max_pixels)
        pixels, alpha = load(image)
        mode = image.mode
    icc = _unpacked(named(parts, data, "icc"), png.profile_of, limits)
    xmp = _unpacked(named(parts, data, "xmp"), png.text_of, limits)
    refuse_gain_map(xmp)
    dpi = _dpi(named(parts, data, "pHYs"))
    return Photo(
        pixels=pixels,
        alpha=alpha,
        mode=mode,
        format="PNG",
        icc=icc,
        exif=exif.without_prefix(named(parts, data, "exif")),
        xmp=xmp,
        dpi=dpi,
        traits=Traits(
            png_chunks=tuple(
                (part.name, part.of(data))
                for part in parts
                if part.kind == METADATA
                and part.name not in ("icc", "exif", "xmp")
                and not (part.name == "pHYs" and dpi is not None)
            ),
            foreign=foreign,
        ),
    )


def _unpacked(
    content: bytes | None, unpack: Callable[[bytes, int], bytes], limits: Limits
) -> bytes | None:
    """What a chunk holds, unpacked; None for none.

    Raises:
        UnsupportedImageError: It cannot be unpacked, or is too large.
    """
    if content is None:
        return None
    try:
        return unpack(content, limits.max_carried) or None
    except ValueError as error:
        raise UnsupportedImageError(f"metadata that cannot be carried: {error}") from error


def _checked(data: bytes) -> list[tuple[bytes, int, int]]:
    """The chunks of a file that is whole and in colours that others can state.

    Raises:
        UnreadableImageError: It is damaged.
        UnsupportedImageError: It is of a kind that is not archived.
    """
    try:
        chunks = png.walk(data)
        wrong = png.wrong_checksum(data)
    except ValueError as error:
        raise UnreadableImageError(str(error)) from error
    if wrong is not None:
        raise UnreadableImageError(f"PNG: damaged: wrong check sum of chunk {wrong!r}")
    if chunks[0][0] != b"IHDR" or chunks[0][2] != 13:
        raise UnreadableImageError("PNG: damaged: it does not start with its header")
    if data[24] == 16:
        raise UnsupportedImageError(f"16-bit samples: {TOO_DEEP}")
    kinds = {kind for kind, _, _ in chunks}
    if kinds & png.ANIMATION:
        raise UnsupportedImageError("animated PNG: only one picture would be carried")
    if kinds & png.GAIN_MAP:
        raise UnsupportedImageError("a gain map for HDR screens: it would be lost")
    contents: dict[bytes, bytes] = {}
    for kind, at, length in chunks:
        if kind in contents and kind in (b"iCCP", b"cICP", b"gAMA", b"cHRM"):
            raise UnsupportedImageError(
                f"two chunks {kind.decode()}: it is not clear which colours are meant"
            )
        if kind in (b"iCCP", b"sRGB", b"cICP", b"gAMA", b"cHRM"):
            contents[kind] = data[at : at + length]
    _refuse_foreign_colours(contents)
    return chunks


def _refuse_foreign_colours(contents: dict[bytes, bytes]) -> None:
    if contents.get(b"cICP", _SRGB_CODE_POINTS) != _SRGB_CODE_POINTS:
        raise UnsupportedImageError(
            "colours stated by code points (cICP): the LR image would be taken for sRGB"
        )
    if b"iCCP" in contents or b"sRGB" in contents:
        return
    gamma, primaries = contents.get(b"gAMA", b""), contents.get(b"cHRM", b"")
    if len(gamma) == 4 and abs(int.from_bytes(gamma, "big") - _SRGB_GAMMA) > 500:
        raise UnsupportedImageError("a gamma that only PNG can state: the LR image would lack it")
    if len(primaries) == 32 and any(
        abs(a - b) > 200
        for a, b in zip(struct.unpack(">8I", primaries), _SRGB_CHROMATICITIES, strict=True)
    ):
        raise UnsupportedImageError("primaries that only PNG can state: the LR image would lack it")


def _refuse_unknown(parts: Sequence[Part]) -> None:
    """Refuse chunks that a reader must know, or that hold only for the pixels as they are coded.

    Source: PNG, section 14.2: chunks that are not safe to copy.

    Raises:
        UnsupportedImageError: There is one.
    """
    for part in parts:
        name = part.name
        if part.kind != UNKNOWN or len(name) != 4 or name in ("PLTE", _MANIFEST):
            continue
        if not name[0].islower():
            raise UnsupportedImageError(
                f"a chunk {name!r} that a reader must understand: what it says would be lost"
            )
        if not png.is_carried(name):
            raise UnsupportedImageError(
                f"a chunk {name!r} that is not known, nor safe to copy into another file"
            )


def _refuse_missing_rows(
    data: bytes, chunks: Sequence[tuple[bytes, int, int]], max_pixels: int
) -> None:
    """Refuse a picture of fewer or more rows than its header states: decoders make up the rest.

    Raises:
        UnreadableImageError: There are fewer, or the compressed data are damaged.
        UnsupportedImageError: There are bytes behind the last row.
    """
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    check_size((width, height), max_pixels)
    bits = depth * _CHANNELS.get(colour, 1)
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    expected = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            expected += rows * (1 + (columns * bits + 7) // 8)
    found, behind = _unpacked_bytes(data, chunks, expected)
    if found < expected:
        raise UnreadableImageError(
            f"PNG: damaged: {found} of the {expected} bytes of its picture are there"
        )
    if found > expected or behind:
        raise UnsupportedImageError("bytes behind the last row of the picture: they would be lost")


def _unpacked_bytes(
    data: bytes, chunks: Sequence[tuple[bytes, int, int]], enough: int
) -> tuple[int, bool]:
    """Bytes that the IDAT chunks unpack to, and whether others follow the compressed ones."""
    stream = zlib.decompressobj()
    found, behind = 0, False
    for kind, at, length in chunks:
        if kind != b"IDAT":
            continue
        waiting = data[at : at + length]
        while waiting and not stream.eof and found <= enough:
            found += len(stream.decompress(waiting, _AT_ONCE))
            waiting = stream.unconsumed_tail
        behind = behind or bool(stream.unused_data) or (stream.eof and bool(waiting))
    while not stream.eof and found <= enough and (more := stream.decompress(b"", _AT_ONCE)):
        found += len(more)
    if not stream.eof and found == enough:
        raise UnreadableImageError("PNG: damaged: its compressed data do not end")
    return found, behind


def _dpi(density: bytes | None) -> tuple[float, float] | None:
    if density is None or len(density) != 9 or density[8] != 1:
        return None
    x, y = struct.unpack(">II", density[:8])
    return stated_dpi(x * 0.0254, y * 0.0254)
