"""What TIFF holds that Pillow does not tell: orientation as stored, tags to carry, raw files."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from rescaling_core.containers import exif as exif_block
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.record import MODES, TOO_DEEP

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from rescaling_core.pixels.arrays import U8Array

_ORIENTATION, _XMP, _IPTC, _ICC = 274, 700, 33723, 34675
_STRUCTURE: Final = frozenset(
    # size, bits, compression, photometric, fill order, strips, samples, planes, predictor, colour
    # map, tiles, extra samples, sample format, JPEG tables, YCbCr
    (254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325)
) | frozenset((338, 339, 340, 341, 347, 512, 513, 514, 529, 530, 531, 532))
"""Tags that say how the pixels are written: never carried over."""
_DIRECTORIES: Final = (0x8769, 0x8825)  # EXIF, GPS
_INTEROPERABILITY: Final = 0xA005
_RAW_TAGS: Final = {330: "further images in it", 50706: "a camera's raw data (DNG)"}


@dataclass(frozen=True, slots=True)
class TiffTags:
    """What a TIFF states beside its pixels."""

    orientation: int
    exif: bytes | None
    iptc: bytes | None


def check(image: ImageFile, data: bytes) -> None:
    """Refuse a TIFF of which Pillow reads only a part.

    Raises:
        UnsupportedImageError: It says which part.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    if (stated := _number_of_tags(data)) != len(tags):
        raise UnsupportedImageError(f"TIFF of {stated} tags of which {len(tags)} can be read")
    for tag, what in _RAW_TAGS.items():
        if tag in tags:
            raise UnsupportedImageError(f"TIFF with {what}: only a part would be carried")
    if tags.get(254, 0):
        raise UnsupportedImageError("TIFF of a reduced image or mask: only a part would be carried")
    depths = tags.get(258, (1,))
    if max(depths) > 8:
        raise UnsupportedImageError(f"{max(depths)}-bit samples: {TOO_DEEP}")
    if any(kind != 1 for kind in tags.get(339, (1,))):
        raise UnsupportedImageError(f"signed or floating-point samples: {TOO_DEEP}")
    if image.mode in MODES:
        planes, has_alpha = MODES[image.mode]
        samples = tags.get(277, 1)
        if samples != planes + has_alpha:
            raise UnsupportedImageError(f"{samples} samples per pixel: some would be lost")
        if has_alpha and tags.get(338, (2,))[0] == 1:
            raise UnsupportedImageError("premultiplied alpha: it would be lost")


def _number_of_tags(data: bytes) -> int:
    """As the first directory states it. Source: TIFF 6.0, section 2; BigTIFF has wider fields."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (at,) = struct.unpack_from(order + ("Q" if is_big else "L"), data, 8 if is_big else 4)
    return int(struct.unpack_from(order + ("Q" if is_big else "H"), data, at)[0])


def read_tags(image: ImageFile) -> TiffTags:
    """Read the tags, before the pixels are loaded.

    Raises:
        UnsupportedImageError: They cannot be carried.
    """
    tags = image.tag_v2  # type: ignore[attr-defined]
    orientation = tags.get(_ORIENTATION, 1)
    iptc = tags.get(_IPTC)
    return TiffTags(
        orientation=orientation if orientation in range(1, 9) else 1,
        exif=_exif(image),
        iptc=iptc if isinstance(iptc, bytes) else None,
    )


def _exif(image: ImageFile) -> bytes | None:
    """All tags but those on the structure of the file, as an EXIF block."""
    found = image.getexif()
    block = Image.Exif()  # a fresh one: that of a BigTIFF would be written as BigTIFF
    try:
        for tag, value in found.items():
            if tag in _DIRECTORIES:
                directory = found.get_ifd(tag)
                if _INTEROPERABILITY in directory:
                    directory[_INTEROPERABILITY] = found.get_ifd(_INTEROPERABILITY)
                block[tag] = directory
            elif tag not in _STRUCTURE and tag not in (_XMP, _IPTC, _ICC):
                block[tag] = value
        return exif_block.without_prefix(block.tobytes()) if block else None
    except Exception as error:
        raise UnsupportedImageError(f"TIFF tags that cannot be carried: {error}") from error


def as_stored(samples: U8Array, orientation: int) -> U8Array:
    """Undo the turn that Pillow gives the pixels of a TIFF.

    Args:
        samples: (H, W) or (H, W, C), as it is to be seen.
        orientation: The tag, 1 to 8.
    """
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 6, 7):
        samples = samples[::-1]
    if orientation in (2, 3, 7, 8):
        samples = samples[:, ::-1]
    return np.ascontiguousarray(samples)
