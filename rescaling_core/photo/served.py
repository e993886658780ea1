"""Photos as files to look at now: small and fast to make, in formats that browsers show.

What `encode_photo` writes gives back all that a source carried; these files hold the picture, its
colour profile and, unless it is upright already, its orientation.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final, Literal

from PIL import Image

from rescaling_core.containers import exif
from rescaling_core.errors import CodecError, UsageError
from rescaling_core.photo.encode import as_image

if TYPE_CHECKING:
    from rescaling_core.photo.record import Photo

ServedFormat = Literal["png", "webp", "jpeg", "avif"]

MEDIA_TYPES: Final[dict[ServedFormat, str]] = {
    "png": "image/png",
    "webp": "image/webp",
    "jpeg": "image/jpeg",
    "avif": "image/avif",
}

_OPTIONS: Final[dict[ServedFormat, dict[str, Any]]] = {
    # Level 1 takes a quarter of the time of Pillow's own level for a tenth more bytes.
    "png": {"compress_level": 1},
    "webp": {"quality": 90, "method": 2},
    "jpeg": {"quality": 92, "subsampling": "4:4:4"},
    "avif": {"quality": 80, "speed": 9},
}

_MOST_SIDE: Final[dict[ServedFormat, int]] = {"webp": 16_383, "jpeg": 65_500, "avif": 65_535}


def encode_served(photo: Photo, format: ServedFormat) -> bytes:
    """Write a photo, or a view of one, for those who look at it.

    Args:
        photo: PNG holds its pixels exactly; the others are lossy, and JPEG shows transparent
            pixels on white.
        format: Which.

    Raises:
        UsageError: The format cannot hold so large a picture.
        CodecError: The encoder failed.
    """
    side = max(photo.width, photo.height)
    if side > _MOST_SIDE.get(format, side):
        raise UsageError(f"{format} holds at most {_MOST_SIDE[format]} pixels a side, not {side}")
    options = dict(_OPTIONS[format])
    if photo.icc:
        options["icc_profile"] = photo.icc
    if photo.orientation != 1:
        options["exif"] = exif.PREFIX + exif.minimal(photo.orientation)
    return saved(as_image(photo), format, options)


def saved(image: Image.Image, format: ServedFormat, options: dict[str, Any]) -> bytes:
    """Write an image of mode 1, L, LA, RGB or RGBA in a format, with Pillow's options."""
    if format == "jpeg" and image.mode in ("LA", "RGBA"):
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        image = white.convert("L" if image.mode == "LA" else "RGB")
    elif format in ("webp", "avif") and image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGBA" if image.mode == "LA" else "RGB")
        options = _without_grey_profile(options)
    elif format == "jpeg" and image.mode == "1":
        image = image.convert("L")
    buffer = io.BytesIO()
    try:
        image.save(buffer, format.upper(), **options)
    except (OSError, ValueError) as error:
        raise CodecError(f"cannot write {format}: {error}") from error
    return buffer.getvalue()


def _without_grey_profile(options: dict[str, Any]) -> dict[str, Any]:
    """A profile of grey is wrong in a file of colours."""
    profile = options.get("icc_profile")
    if profile is not None and profile[16:20] == b"GRAY":
        return {name: value for name, value in options.items() if name != "icc_profile"}
    return options


def default_options(format: ServedFormat) -> dict[str, Any]:
    """How a format is written here."""
    return dict(_OPTIONS[format])
