"""PNG: lossless, read everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from PIL import PngImagePlugin

from rescaling_core.codecs.traits import Codec, of_format
from rescaling_core.containers.layout import PNG_CHUNK

if TYPE_CHECKING:
    from rescaling_core.codecs.traits import FileExtras, Settings


def _options(settings: Settings, extras: FileExtras) -> dict[str, Any]:
    chunks = PngImagePlugin.PngInfo()
    if extras.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", extras.xmp)
    return {
        "icc_profile": extras.icc,
        "exif": extras.exif,
        "pnginfo": chunks,
        "compress_level": 9 if settings.effort is None else settings.effort,
    }


PNG: Final = Codec(
    name="png",
    pillow_format="PNG",
    is_file=of_format("PNG"),
    layout=PNG_CHUNK,
    numbers={"png": 1},
    extension=".png",
    media_type="image/png",
    lossless=True,
    qualities=None,
    default_quality=None,
    efforts=range(1, 10),
    max_side=2**31 - 1,
    options=_options,
)
