"""JPEG XL, by the optional plugin, whose encoder embeds neither profile nor orientation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rescaling_core.codecs.traits import Codec, FileExtras, Quick
from rescaling_core.containers import exif, jxl
from rescaling_core.containers.icc import stated_profile
from rescaling_core.containers.layout import BOX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rescaling_core.codecs.traits import Settings


def _options(settings: Settings, extras: FileExtras) -> dict[str, Any]:
    return {
        "lossless": settings.quality is None,
        "quality": settings.quality,
        "effort": 7 if settings.effort is None else settings.effort,
        "exif": extras.exif or b"",
        "xmp": extras.xmp,
        "use_container": True,
    }


def _is_container(data: bytes) -> bool:
    """A bare codestream has no room for anything of ours, so that it is no LR file."""
    return data.startswith(jxl.CONTAINER_SIGNATURE)


def _xmp(data: bytes) -> bytes | None:
    return jxl.box(data, b"xml ")


def _embedded(data: bytes, info: Mapping[Any, Any]) -> FileExtras:
    """Pillow's plugin says nothing of XMP, and gives a profile of its own making."""
    icc = info.get("icc_profile") or None
    return FileExtras(
        icc=stated_profile(icc), exif=exif.without_prefix(info.get("exif")), xmp=_xmp(data)
    )


JXL: Final = Codec(
    name="jxl",
    pillow_format="JXL",
    install="refold[jxl]",
    is_file=_is_container,
    layout=BOX,
    numbers={"jxl": 8, "jxl-lossless": 9},
    embedded=_embedded,
    xmp=_xmp,
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
