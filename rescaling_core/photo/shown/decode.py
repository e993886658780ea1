"""File bytes → the picture that a preview shows, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from rescaling_core.containers import exif, headers, jpeg, jxl, png, raw
from rescaling_core.containers.icc import stated_profile
from rescaling_core.errors import PhotoError, UnsupportedImageError
from rescaling_core.photo.decode import decode_photo
from rescaling_core.photo.foreign import MOST_CARRIED
from rescaling_core.photo.opening import (
    check_size,
    decoder_errors,
    identify,
    opened_by_pillow,
    pillow_formats,
    samples_of,
)
from rescaling_core.photo.record import Photo
from rescaling_core.photo.shown.colours import (
    profile_of_boxes,
    profile_of_numbers,
    profile_of_png,
    to_srgb,
)
from rescaling_core.photo.shown.samples import eight_bits, without_alpha
from rescaling_core.photo.sources.shared import named
from rescaling_core.repack import deep_file

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

    from rescaling_core.photo.shown.high_range import HighRange

_OTHERS: Final = {
    "JPEG 2000": "JPEG2000",
    "Photoshop": "PSD",
    "DDS": "DDS",
    "QOI": "QOI",
    "Netpbm": "PPM",
    "Icon": "ICO",
    "Mac icon": "ICNS",
    "SGI": "SGI",
    "Sun raster": "SUN",
    "PCX": "PCX",
}
"""Pillow's names of formats that are not archived, by those that `headers.identify` gives."""

_LAYERED: Final = ("PSD", "ICO", "ICNS")
"""Formats whose further frames are parts or sizes of the one picture."""

_DCT: Final = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
"""Frames of JPEG that are decoded."""

_TURNS: Final = {
    1: (),
    2: (Image.Transpose.FLIP_LEFT_RIGHT,),
    3: (Image.Transpose.ROTATE_180,),
    4: (Image.Transpose.FLIP_TOP_BOTTOM,),
    5: (Image.Transpose.TRANSPOSE,),
    6: (Image.Transpose.ROTATE_270,),
    7: (Image.Transpose.TRANSVERSE,),
    8: (Image.Transpose.ROTATE_90,),
}
"""What makes a picture of an EXIF orientation upright."""


@dataclass(frozen=True, slots=True)
class _Depth:
    """What Pillow does not say of the samples of a file."""

    bits: int = 8
    full_range: bool = False
    inverted: bool = False


def decode_shown(data: bytes, *, max_pixels: int, reason: str = "") -> Photo:
    """Decode what a preview of a file shows, upright, as sRGB, 8 bits, without alpha.

    Args:
        data: The whole file.
        max_pixels: Width × height above which nothing is decoded.
        reason: Why the file itself is kept; the picture says so where nothing else is to be said.

    Returns:
        A photo of mode L or RGB that carries nothing and cannot be archived: `made_from` says what
        of the file it is.

    Raises:
        UnreadableImageError: The file is damaged, or not an image.
        ImageTooLargeError: It has more pixels than allowed.
        UnsupportedImageError: Nothing here decodes it, or no rule says how it looks.
    """
    name = _format_of(data)
    with decoder_errors(name):
        inner, inner_name, notes, turn = data, name, [], 1
        if raw.is_raw(data):
            found = raw.largest_jpeg(data)
            if found is None:
                raise UnsupportedImageError("a camera's raw file without a JPEG picture in it")
            inner, inner_name = data[found[0] : sum(found)], "JPEG"
            notes, turn = ["the JPEG picture in a camera's raw file"], raw.orientation(data)
        photo_name = "TIFF" if name == "camera raw" else name
        image, more = _upright(inner, inner_name, turn, max_pixels)
        notes += more
        samples = samples_of(image)
    return Photo(
        pixels=samples,
        mode=image.mode,
        format=photo_name,
        made_from="; ".join(notes) or ": ".join(("the picture alone", *reason.split(": ")[:1])),
    )


def decode_for_preview(data: bytes, *, max_pixels: int, max_carried: int) -> Photo:
    """Decode a source that previews are made of: as for all targets, or else as it is shown.

    Raises:
        PhotoError: Nothing can be shown of it.
    """
    try:
        return decode_photo(data, max_pixels=max_pixels, max_carried=max_carried)
    except UnsupportedImageError as error:
        return decode_shown(data, max_pixels=max_pixels, reason=str(error))


def shown_pixels(data: bytes) -> int | None:
    """Width × height of what `decode_shown` would decode, by the file's header; None if nothing."""
    try:
        name = _format_of(data)
        with decoder_errors(name):
            if raw.is_raw(data):
                found = raw.largest_jpeg(data)
                if found is None:
                    return None
                data, name = data[found[0] : sum(found)], "JPEG"
            size = headers.peek_size(name, data)
            if size is None:
                with opened_by_pillow(name, data) as image:
                    size = image.size
    except PhotoError:
        return None
    return size[0] * size[1]


def _format_of(data: bytes) -> str:
    """Pillow's name of a format that is opened here, or `camera raw`."""
    stated = headers.identify(data)
    if stated == "camera raw":
        if data[4:12] == b"ftypcrx ":
            raise UnsupportedImageError("camera raw of Canon's third kind is not opened here")
        return stated
    if data.startswith(b"MM\0+"):
        raise UnsupportedImageError("BigTIFF of big-endian order: it cannot be read here")
    name = _OTHERS.get(stated or "")
    if name is None:
        return identify(data)
    if name not in pillow_formats():
        raise UnsupportedImageError(f"format {stated} cannot be read here")
    return name


def _upright(data: bytes, name: str, turn: int, max_pixels: int) -> tuple[Image.Image, list[str]]:
    """The first picture of a file, of mode L or RGB, and what it is of the file."""
    check_size(headers.peek_size(name, data), max_pixels)
    if name == "JPEG":
        _check_jpeg(data)
    notes = []
    if name == "JXL" and jxl.read_header(data).is_animated:
        notes.append("the first frame")
    file = png.of_picture(data) if name == "PNG" else data
    with opened_by_pillow(name, file) as opened:
        check_size(opened.size, max_pixels)
        number = 1 if name in _LAYERED else getattr(opened, "n_frames", 1)
        if number > 1:
            what = "page" if name in ("TIFF", "HEIF") else "frame"
            notes.append(f"the first of {number} {what}s")
        depth = _depth(data, name, opened)
        profile = _profile(data, name, opened)
        image: Image.Image
        if name == "TIFF" and _has_deep_planes(opened):
            image = _of_planes(data)
            stated = int(getattr(opened, "tag_v2", {}).get(274, 1))
            stated = stated if stated in _TURNS else 1
        else:
            opened.load()
            image = opened.copy()
            stated = _orientation(data, name, opened)
    image, deep = eight_bits(
        image, bits=depth.bits, full_range=depth.full_range, inverted=depth.inverted
    )
    if deep is None and depth.bits > 8:
        deep = f"the upper 8 of {depth.bits} bits"
    image, flat = without_alpha(image)
    image, seen = to_srgb(image, profile)
    notes += [note for note in (deep, flat, seen) if note]
    return _turned(image, turn if stated == 1 else stated), notes


def _has_deep_planes(image: ImageFile) -> bool:
    """Whether a TIFF has bands of 16 bits one after the other, which Pillow mixes up."""
    tags = getattr(image, "tag_v2", {})
    plain = tags.get(259, 1) == 1 and tags.get(284, 1) == 2
    return plain and tags.get(277, 1) > 1 and max(tags.get(258) or (1,)) == 16


def _of_planes(data: bytes) -> Image.Image:
    """The upper 8 bits of such a TIFF.

    Raises:
        UnsupportedImageError: It is of another kind than grey or RGB, alpha aside.
    """
    samples = (deep_file(data).samples >> 8).astype(np.uint8)
    return Image.fromarray(samples)


def _check_jpeg(data: bytes) -> None:
    """Refuse the kinds of JPEG that libjpeg does not decode, or only to other colours.

    Raises:
        UnsupportedImageError: It is of such a kind.
    """
    for marker, start, end in jpeg.walk(data):
        if marker in jpeg.FRAMES and marker not in _DCT:
            raise UnsupportedImageError("lossless or hierarchical JPEG: it cannot be decoded here")
        if marker in jpeg.FRAMES and data[start:end][:1] != b"\x08":
            raise UnsupportedImageError(f"JPEG of {data[start]} bits: it cannot be decoded here")


def _orientation(data: bytes, name: str, image: ImageFile) -> int:
    """How the decoded picture is still to be turned: other decoders have done so already."""
    if name == "PNG":
        return exif.orientation(exif.without_prefix(named(png.parts(data), data, "exif")))
    if name in ("JPEG", "WEBP", "AVIF"):
        return exif.orientation(exif.without_prefix(image.info.get("exif")))
    return 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    if orientation == 1:
        return image
    for step in _TURNS[orientation]:
        image = image.transpose(step)
    return image


def _depth(data: bytes, name: str, image: ImageFile) -> _Depth:
    """How deep samples are, where Pillow gives 8 of their bits or too many.

    Raises:
        UnsupportedImageError: Pillow would show them wrongly.
    """
    if name == "PNG":
        return _Depth(bits=data[24], full_range=True)
    if name == "PPM":
        return _Depth(bits=16 if image.mode == "I" else 8, full_range=True)
    if name == "TIFF":
        tags = getattr(image, "tag_v2", {})
        bits = max(tags.get(258) or (1,))
        if bits == 8 and 2 in (tags.get(339) or ()):
            raise UnsupportedImageError("signed 8-bit samples: they would be shown wrongly")
        is_white = tags.get(262, 1) == 0 and image.mode[:1] in ("I", "F")
        return _Depth(bits=bits, inverted=is_white)
    if image.mode.startswith("I;16"):
        return _Depth(bits=16)
    if name == "JXL":
        return _Depth(bits=jxl.read_header(data).bits)
    return _Depth()


def _profile(data: bytes, name: str, image: ImageFile) -> bytes | HighRange | None:
    """What the colours of a file mean; None for sRGB and for what has no meaning of its own.

    Raises:
        UnsupportedImageError: No rule says how they look.
    """
    if name == "PNG":
        packed = named(png.parts(data), data, "icc")
        held = None if packed is None else png.profile_of(packed, MOST_CARRIED) or None
        return profile_of_png(data) or held
    if name in ("AVIF", "HEIF"):
        return profile_of_boxes(data)
    profile = stated_profile(image.info.get("icc_profile"))
    if name == "TIFF" and profile is None and image.mode in ("RGB", "RGBA", "RGBX"):
        tags = getattr(image, "tag_v2", {})
        white, primaries = tags.get(318), tags.get(319)
        return profile_of_numbers(
            [float(one) for one in white] if white and len(white) == 2 else None,
            [float(one) for one in primaries] if primaries and len(primaries) == 6 else None,
        )
    return profile
