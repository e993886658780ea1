"""JPEG XL, by the optional plugin, whose encoder embeds neither profile nor orientation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rescaling_core.codecs.traits import Codec, Quick

if TYPE_CHECKING:
    from rescaling_core.codecs.traits import FileExtras, Settings


def _options(settings: Settings, extras: FileExtras) -> dict[str, Any]:
    return {
        "lossless": settings.quality is None,
        "quality": settings.quality,
        "effort": 7 if settings.effort is None else settings.effort,
        "exif": extras.exif or b"",
        "xmp": extras.xmp,
        "use_container": True,
    }


JXL: Final = Codec(
    name="jxl",
    pillow_format="JXL",
    extension=".jxl",
    media_type="image/jxl",
    lossless=True,
    qualities=range(1, 100),
    default_quality=90,
    efforts=range(1, 10),
    max_side=2**30,
    holds_icc=False,
    quick=Quick(effort=3, shift=-2.0, ratio=0.9, usual=7),
    options=_options,
)
