"""JPEG: read everywhere; Huffman tables optimised, 4:4:4 unless asked otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rescaling_core.codecs.traits import Codec, of_format
from rescaling_core.containers import exif
from rescaling_core.containers.layout import JPEG_SEGMENTS

if TYPE_CHECKING:
    from rescaling_core.codecs.traits import FileExtras, Settings

_SEGMENT: Final = 65_533
"""Bytes of payload that a segment holds: its length field counts itself, in 16 bits."""


def _options(settings: Settings, extras: FileExtras) -> dict[str, Any]:
    return {
        "quality": settings.quality,
        "subsampling": settings.chroma or "4:4:4",
        "optimize": True,
        "icc_profile": extras.icc,
        "exif": exif.PREFIX + extras.exif if extras.exif else b"",
        "xmp": extras.xmp,
    }


JPEG: Final = Codec(
    name="jpeg",
    pillow_format="JPEG",
    is_file=of_format("JPEG"),
    layout=JPEG_SEGMENTS,
    numbers={"jpeg": 2, "jpeg-420": 3},
    extension=".jpg",
    media_type="image/jpeg",
    lossless=False,
    qualities=range(1, 101),
    default_quality=90,
    chromas=("4:4:4", "4:2:0"),
    efforts=range(0),
    max_side=65_500,  # libjpeg's JPEG_MAX_DIMENSION
    max_xmp=_SEGMENT - len(b"http://ns.adobe.com/xap/1.0/\0"),
    max_exif=_SEGMENT - len(exif.PREFIX),
    options=_options,
)
