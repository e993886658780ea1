"""JPEG XL sources: depth, layers, every box, and where the codestream ends."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rescaling_core.containers import exif, headers, jxl
from rescaling_core.containers.icc import stated_profile
from rescaling_core.containers.parts import METADATA, UNKNOWN
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.foreign import foreign_of, refuse_gain_map, refuse_too_much
from rescaling_core.photo.opening import check_size
from rescaling_core.photo.record import MODES, TOO_DEEP, Foreign, Photo, Traits
from rescaling_core.photo.sources import jpeg
from rescaling_core.photo.sources.heif import exif_block
from rescaling_core.photo.sources.shared import mode_reason, named, split_alpha

if TYPE_CHECKING:
    from rescaling_core.containers.parts import Part
    from rescaling_core.photo.sources.shared import Limits

_RECONSTRUCTED: tuple[bytes, ...] = (b"Exif", b"xml ")
"""Boxes that a JPEG's own segments are made from again, also where they are compressed."""


def decode(data: bytes, limits: Limits) -> Photo:
    """Decode a JPEG XL file, by the plugin's decoder: its Pillow class drops XMP and JPEGs inside.

    Raises:
        UnreadableImageError: It ends early, or the decoder fails.
        UnsupportedImageError: It would lose something; the message says what.
        ValueError: The header is damaged.
    """
    check_size(headers.peek_size("JXL", data), limits.max_pixels)
    _check(data)
    parts = jxl.parts(data)
    sizes = [part.length for part in parts if part.kind in (METADATA, UNKNOWN)]
    refuse_too_much(sizes, limits.max_carried)
    decoder = importlib.import_module("pillow_jxl").Decoder(num_threads=-1)
    is_jpeg, header, samples, icc, _ = decoder(data)
    if is_jpeg:
        return _of_jpeg(data, parts, bytes(samples), limits)
    check_size((header.width, header.height), limits.max_pixels)
    if header.mode not in MODES:
        raise UnsupportedImageError(mode_reason(header.mode))
    shape = (header.height, header.width, len(header.mode))
    pixels, alpha = split_alpha(np.frombuffer(samples, np.uint8).reshape(shape), header.mode)
    if alpha is None and jxl.read_header(data).extra_channels:
        raise UnsupportedImageError("JXL with a channel that is not alpha: it would be lost")
    if jxl.box(data, b"brob") is not None:
        raise UnsupportedImageError("JXL with compressed metadata, which cannot be read here")
    _refuse_bytes_behind(decoder, jxl.codestream(data))
    foreign = foreign_of(data, parts)
    xmp = named(parts, data, "xmp")
    refuse_gain_map(xmp)
    stated = exif_block(named(parts, data, "exif"))
    # The format's own orientation rules, and the decoder has applied it.
    block = None if stated is None else exif.with_orientation(stated, 1)
    if stated is not None and exif.orientation(stated) not in (
        1,
        jxl.read_header(data).orientation,
    ):
        foreign += (Foreign("exif before its orientation was set", None, stated),)
    return Photo(
        pixels=pixels,
        alpha=alpha,
        mode=header.mode,
        format="JXL",
        icc=stated_profile(icc),
        exif=block,
        xmp=xmp,
        traits=Traits(foreign=foreign),
    )


def _check(data: bytes) -> None:
    """Refuse what the decoder would cut or drop."""
    header = jxl.read_header(data)
    if header.is_animated:
        raise UnsupportedImageError("animated JXL: only one frame would be carried")
    if header.has_preview:
        raise UnsupportedImageError("JXL with a preview image: it would be lost")
    if header.bits > 8 or header.is_float:
        kind = "floating-point" if header.is_float else f"{header.bits}-bit"
        raise UnsupportedImageError(f"{kind} samples: {TOO_DEEP}")
    if header.extra_channels > 1:
        raise UnsupportedImageError("JXL with channels beside colour and alpha: they would be lost")


def _of_jpeg(data: bytes, parts: list[Part], file: bytes, limits: Limits) -> Photo:
    """A JPEG packed as JPEG XL: the photo is that of the JPEG, and the boxes that are not of it."""
    photo = jpeg.decode(file, limits)
    unknown = []
    for part in parts:
        content = part.of(data)
        is_made_again = part.name == "box brob" and content[:4] in _RECONSTRUCTED
        if part.kind == UNKNOWN and not is_made_again:
            unknown.append(part)
        elif (part.name == "exif" and exif_block(content) != photo.exif) or (
            part.name == "xmp" and content != photo.xmp
        ):
            unknown.append(replace(part, kind=UNKNOWN))
    foreign = photo.traits.foreign + foreign_of(data, unknown)
    return replace(photo, format="JXL", traits=replace(photo.traits, foreign=foreign))


def _refuse_bytes_behind(decoder: Any, codestream: bytes) -> None:
    """Only the decoder knows where a codestream ends: it must fail when the last byte is missing.

    Raises:
        UnsupportedImageError: It does not, so others follow the picture.
    """
    try:
        decoder(codestream[:-1])
    except Exception:  # noqa: BLE001 - the plugin raises what the decoder says, of several classes
        return
    raise UnsupportedImageError("bytes behind the codestream: they would be lost")
