"""WebP: lossy with 4:2:0 chroma, or lossless. It has no grey."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from rescaling_core.codecs.traits import Codec, of_format
from rescaling_core.containers.layout import RIFF_CHUNK
from rescaling_core.errors import CodecUnavailableError
from rescaling_core.repack.library import imagecodecs

if TYPE_CHECKING:
    from rescaling_core.codecs.traits import FileExtras, Settings
    from rescaling_core.pixels.arrays import U8Array

_LOSSLESS_EFFORT: Final = 80
"""Pillow's `quality` of the lossless mode is effort, 0 to 100."""


def _options(settings: Settings, extras: FileExtras) -> dict[str, Any]:
    lossless = settings.quality is None
    return {
        "lossless": lossless,
        "quality": _LOSSLESS_EFFORT if lossless else settings.quality,
        "method": 4 if settings.effort is None else settings.effort,
        "icc_profile": extras.icc,
        "exif": extras.exif or b"",
        "xmp": extras.xmp or b"",
    }


def _pixels(data: bytes) -> U8Array | None:
    """What libwebp decodes: Pillow has its reader of animations do it, which takes twice as long.

    None where the optional imagecodecs is not installed, or built without WebP, and where the
    file is damaged: then Pillow says what is wrong, as it does without imagecodecs.
    """
    library = _library()
    if library is None:
        return None
    try:
        pixels: U8Array = library.webp_decode(data, hasalpha=False)
    except (ImportError, RuntimeError):
        return None
    return pixels


@cache
def _library() -> Any:
    try:
        return imagecodecs()
    except CodecUnavailableError:
        return None


WEBP: Final = Codec(
    name="webp",
    pillow_format="WEBP",
    pixels=_pixels,
    is_file=of_format("WEBP"),
    layout=RIFF_CHUNK,
    numbers={"webp": 4, "webp-lossless": 5},
    extension=".webp",
    media_type="image/webp",
    lossless=True,
    qualities=range(101),
    default_quality=90,
    chromas=("4:2:0",),
    efforts=range(7),
    max_side=16_383,
    holds_grey=False,
    turned_by_browsers=False,  # not by Chromium 150
    options=_options,
)
