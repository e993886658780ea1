"""TIFF sources: orientation as stored, every tag, raw files, colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.containers import tiff
from rescaling_core.containers.parts import METADATA, UNKNOWN
from rescaling_core.containers.tiff import Tiff
from rescaling_core.errors import PhotoError, UnreadableImageError, UnsupportedImageError
from rescaling_core.photo.foreign import foreign_of, refuse_gain_map, refuse_too_much
from rescaling_core.photo.opening import open_image
from rescaling_core.photo.record import MODES, TOO_DEEP, Photo, Traits
from rescaling_core.photo.sources.shared import load, refuse_mode, refuse_sequence, stated_dpi

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from rescaling_core.photo.sources.shared import Limits
    from rescaling_core.pixels.arrays import U8Array

_ORIENTATION: Final = 274
_RAW_TAGS: Final = {330: "further images in it", 50706: "a camera's raw data (DNG)"}
_COLOURS: Final = {301: "a transfer function", 318: "a white point", 319: "primaries"}
"""Tags of calibrated colours."""
_SRGB: Final = {318: (0.3127, 0.3290), 319: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)}


def decode(data: bytes, limits: Limits) -> Photo:
    """Decode a TIFF.

    Raises:
        UnreadableImageError: It ends early, or the decoder fails.
        UnsupportedImageError: It would lose something; the message says what.
    """
    if data.startswith(b"MM\0+"):
        raise UnsupportedImageError(
            "BigTIFF of big-endian order: a layout that cannot be read here"
        )
    with open_image(data, max_pixels=limits.max_pixels) as image:
        refuse_sequence(image)
        try:
            read = Tiff(data)
            _check(image, read)
            refuse_mode(image)
            if read.value(259, 1) != 6 and tiff.lacks_pixels(read):  # 6: JPEG of the old kind
                raise UnreadableImageError("TIFF: damaged: parts of its picture are missing")
            parts = tiff.parts(data)
            exif = tiff.as_exif(data)
        except PhotoError:
            raise
        except ValueError as error:
            raise UnsupportedImageError(f"tags that cannot be carried: {error}") from error
        sizes = [part.length for part in parts if part.kind in (METADATA, UNKNOWN)]
        refuse_too_much([*sizes, len(exif or b"")], limits.max_carried)
        foreign = foreign_of(data, parts)
        xmp = _bytes(read, tiff.XMP)
        refuse_gain_map(xmp)
        _refuse_gain_tags(read)
        pixels, alpha = load(image)
        orientation = read.value(_ORIENTATION, 1)
        if orientation not in range(1, 9):
            orientation = 1
        return Photo(  # Pillow turns the pixels of a TIFF as they are loaded
            pixels=_as_stored(pixels, orientation),
            alpha=None if alpha is None else _as_stored(alpha, orientation),
            mode=image.mode,
            format="TIFF",
            icc=_bytes(read, tiff.ICC),
            exif=exif,
            xmp=xmp,
            dpi=stated_dpi(*image.info["dpi"]) if "dpi" in image.info else None,
            traits=Traits(iptc=_bytes(read, tiff.IPTC), foreign=foreign),
        )


def _bytes(read: Tiff, tag: int) -> bytes | None:
    """The values of a tag, of whatever type: IPTC is often stored as if it were numbers."""
    entry = read.entry(tag)
    return None if entry is None else read.raw(entry) or None


def _check(image: ImageFile, read: Tiff) -> None:
    """Refuse a TIFF of which Pillow reads only a part.

    Raises:
        UnsupportedImageError: It says which part.
        ValueError: A tag does not lie in the file.
    """
    tags = [entry.tag for entry in read.first.entries]
    if len(set(tags)) != len(tags):
        raise UnsupportedImageError("TIFF with a tag twice: it is not clear which counts")
    for tag, what in _RAW_TAGS.items():
        if tag in tags:
            raise UnsupportedImageError(f"TIFF with {what}: only a part would be carried")
    packet = read.entry(tiff.XMP)
    if packet is not None and packet.type not in (1, 7):  # Pillow stumbles over it
        raise UnsupportedImageError(f"TIFF with XMP of type {packet.type}: it is not bytes")
    if read.first.following:
        raise UnsupportedImageError("multi-page TIFF: only one picture would be carried")
    if read.value(254, 0):
        raise UnsupportedImageError("TIFF of a reduced image or mask: only a part would be carried")
    depths = read.numbers(read.entry(258)) or (1,)
    if max(depths) > 8:
        raise UnsupportedImageError(f"{max(depths)}-bit samples: {TOO_DEEP}")
    if any(kind != 1 for kind in read.numbers(read.entry(339)) or (1,)):
        raise UnsupportedImageError(f"signed or floating-point samples: {TOO_DEEP}")
    if image.mode in MODES:
        planes, has_alpha = MODES[image.mode]
        samples = read.value(277, 1)
        if samples != planes + has_alpha:
            raise UnsupportedImageError(f"{samples} samples per pixel: some would be lost")
        if has_alpha and read.value(338, 2) == 1:
            raise UnsupportedImageError("premultiplied alpha: it would be lost")
    if tiff.ICC not in tags:
        _refuse_colours(read)


def _refuse_colours(read: Tiff) -> None:
    """Refuse calibrated colours that are not sRGB's."""
    for tag, what in _COLOURS.items():
        entry = read.entry(tag)
        if entry is not None and not _is_srgb(read, tag):
            raise UnsupportedImageError(
                f"{what} that only TIFF can state: the LR image would lack it"
            )


def _is_srgb(read: Tiff, tag: int) -> bool:
    entry, expected = read.entry(tag), _SRGB.get(tag)
    if entry is None or expected is None or entry.type != 5 or entry.count != len(expected):
        return False
    numbers = np.frombuffer(read.raw(entry), f"{read.order}u4")
    found = numbers[::2] / np.maximum(numbers[1::2], 1)
    return bool(np.abs(found - np.array(expected)).max() < 0.003)


def _refuse_gain_tags(read: Tiff) -> None:
    """Profile gain tables of DNG 1.6 and 1.7."""
    if any(entry.tag in (52525, 52544) for entry in read.first.entries):
        raise UnsupportedImageError("a gain map for HDR screens: it would be lost")


def _as_stored(samples: U8Array, orientation: int) -> U8Array:
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
