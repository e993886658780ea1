"""AVIF and HEIC sources: depth, colours, crops, further layers, and every box and item."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from rescaling_core.containers import exif, heif, isobmff
from rescaling_core.containers.boxes import walk
from rescaling_core.containers.parts import METADATA, UNKNOWN
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.foreign import foreign_of, refuse_gain_map, refuse_too_much
from rescaling_core.photo.opening import open_image
from rescaling_core.photo.record import TOO_DEEP, Foreign, Photo, Traits
from rescaling_core.photo.sources.shared import load, named, refuse_mode, refuse_sequence

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from rescaling_core.containers.isobmff import Meta
    from rescaling_core.photo.sources.shared import Limits

_BLOCK: Final = 64
"""Pixels a side of the largest blocks of HEVC."""
_SRGB_PRIMARIES: Final = (1, 2)
_SRGB_TRANSFERS: Final = (1, 2, 6, 13)
"""As ITU-T H.273 counts: BT.709, unspecified, BT.601, sRGB."""


def decode(data: bytes, limits: Limits) -> Photo:
    """Decode an AVIF or HEIC.

    Raises:
        UnreadableImageError: It ends early, or the decoder fails.
        UnsupportedImageError: It would lose something; the message says what.
        ValueError: The container is damaged.
    """
    with open_image(data, max_pixels=limits.max_pixels) as image:
        refuse_sequence(image)
        is_heic = image.format == "HEIF"
        if is_heic:
            _check_heic(image)
        meta = isobmff.read_meta(data)
        _check_items(data, meta, is_heic=is_heic)
        parts = heif.parts(data)
        for part in parts:
            if part.kind == UNKNOWN and part.name.removeprefix("box ").encode() in heif.FILM_BOXES:
                raise UnsupportedImageError(
                    f"a film in the file ({part.length} bytes of {part.name}): it would be lost"
                )
        sizes = [part.length for part in parts if part.kind in (METADATA, UNKNOWN)]
        refuse_too_much(sizes, limits.max_carried)
        foreign = foreign_of(data, parts)
        profile = _profile(meta)
        if profile is None:
            _check_code_points(meta)
        refuse_mode(image)
        xmp = named(parts, data, "xmp")
        refuse_gain_map(xmp)
        pixels, alpha = load(image)
        # libheif turns the pixels of a HEIC; those of an AVIF are as stored.
        stated = exif_block(named(parts, data, "exif"))
        block = _turned(stated, xmp, 1 if is_heic else meta.turn)
        if stated is not None and exif.orientation(stated) not in (
            exif.orientation(block),
            meta.turn,
        ):
            foreign += (Foreign("exif before its orientation was set", None, stated),)
        return Photo(
            pixels=pixels,
            alpha=alpha,
            mode=image.mode,
            format=str(image.format),
            icc=profile,
            exif=block,
            xmp=xmp,
            traits=Traits(foreign=foreign),
        )


def exif_block(item: bytes | None) -> bytes | None:
    """The EXIF block of an item or box, behind the offset that comes first.

    Some writers leave the offset out, or state a wrong one.
    """
    if item is None:
        return None
    for start in (4 + int.from_bytes(item[:4], "big"), 4, 0):
        block = exif.without_prefix(item[start:])
        if block and block[:4] in (b"II*\0", b"MM\0*"):
            return block
    return item


def _turned(block: bytes | None, xmp: bytes | None, turn: int) -> bytes | None:
    """The EXIF block with the orientation that the container asks for: it rules.

    Where EXIF states none, readers of a PNG may believe XMP; then it is stated in EXIF too.
    """
    if block is None:
        return None if turn == 1 and b"Orientation" not in (xmp or b"") else exif.minimal(turn)
    if turn == 1 and b"Orientation" not in (xmp or b""):
        return exif.with_orientation(block, 1)
    return exif.with_stated_orientation(block, turn)


def _profile(meta: Meta) -> bytes | None:
    if meta.primary not in meta.items:
        return None
    for kind, content in meta.items[meta.primary].properties:
        if kind == b"colr" and content[:4] in (b"prof", b"rICC"):
            return content[4:] or None
    return None


def _check_code_points(meta: Meta) -> None:
    if meta.primary not in meta.items:
        return
    for kind, content in meta.items[meta.primary].properties:
        if kind == b"colr" and content[:4] == b"nclx":
            _refuse_foreign(
                int.from_bytes(content[4:6], "big"), int.from_bytes(content[6:8], "big")
            )


def _trims_padding(properties: dict[bytes, bytes]) -> bool:
    """Whether a crop takes off no more than what an encoder adds to fill its blocks.

    libheif applies the crop of a HEIC.
    """
    crop, size = properties[b"clap"], properties.get(b"ispe", b"")
    if len(crop) < 16 or len(size) < 12:
        return False
    width, width_divisor, height, height_divisor = struct.unpack(">4I", crop[:16])
    whole_width, whole_height = struct.unpack(">2I", size[4:12])
    if not (width_divisor and height_divisor):
        return False
    cut: tuple[float, float] = (
        whole_width - width / width_divisor,
        whole_height - height / height_divisor,
    )
    return min(cut) >= 0 and max(cut) < _BLOCK


def _check_items(data: bytes, meta: Meta, *, is_heic: bool) -> None:
    """Refuse pictures and properties of which a decoder would give a part."""
    pictures = meta.of_picture()
    brands = next((data[box.start : box.end] for box in walk(data)), b"")
    if b"tmap" in brands or any(item.kind == b"tmap" for item in meta.items.values()):
        raise UnsupportedImageError("a gain map for HDR screens: it would be lost")
    for number, item in meta.items.items():
        refuse_gain_map(item.auxiliary_type)
        if item.auxiliary_type and item.auxiliary_type not in isobmff.ALPHA:
            what = item.auxiliary_type.decode("latin-1")
            raise UnsupportedImageError(f"further layers ({what}): they would be lost")
        is_extra = number not in pictures and number not in meta.thumbnails()
        if is_extra and item.kind in (b"av01", b"hvc1", b"hev1", b"grid", b"iovl", b"jpeg"):
            raise UnsupportedImageError("several pictures in the file: only one would be carried")
        kinds = dict(item.properties)
        if number in pictures and b"clap" in kinds and not (is_heic and _trims_padding(kinds)):
            raise UnsupportedImageError("cropped by its container: the crop would be lost")
        # AV1 configuration: marker and version, profile and level, then flags of which bit 6 says
        # "more than 8 bits" (AV1-ISOBMFF 2.3).
        configuration = kinds.get(b"av1C", b"")
        if number in pictures and len(configuration) > 2 and configuration[2] & 0x40:
            raise UnsupportedImageError(f"10- or 12-bit samples: {TOO_DEEP}")


def _check_heic(image: ImageFile) -> None:
    info = image.info
    if info.get("bit_depth", 8) > 8:
        raise UnsupportedImageError(f"{info['bit_depth']}-bit samples: {TOO_DEEP}")
    if info.get("depth_images"):
        raise UnsupportedImageError("a depth map: it would be lost")
    if info.get("aux"):
        raise UnsupportedImageError(
            f"further layers ({', '.join(info['aux'])}): they would be lost"
        )


def _refuse_foreign(primaries: int, transfer: int) -> None:
    if primaries not in _SRGB_PRIMARIES or transfer not in _SRGB_TRANSFERS:
        raise UnsupportedImageError(
            f"colours stated by code points ({primaries}, {transfer}) and no profile: "
            "they would be taken for sRGB"
        )
