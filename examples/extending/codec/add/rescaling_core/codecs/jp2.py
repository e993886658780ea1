"""JPEG 2000 in its own container, lossy or lossless: an example of a codec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rescaling_core.codecs.traits import Codec
from rescaling_core.containers.layout import BOX

if TYPE_CHECKING:
    from rescaling_core.codecs.traits import FileExtras, Settings

_SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"


def _options(settings: Settings, extras: FileExtras) -> dict[str, Any]:
    del extras  # Pillow embeds nothing here, so that all of it lies in the record
    if settings.quality is None:
        return {"irreversible": False}
    return {"irreversible": True, "quality_mode": "dB", "quality_layers": [settings.quality]}


JP2: Final = Codec(
    name="jp2",
    pillow_format="JPEG2000",
    is_file=lambda data: data.startswith(_SIGNATURE),
    layout=BOX,  # its container consists of boxes, as that of AVIF does
    numbers={"jp2": 1001, "jp2-lossless": 1002},  # numbers below 1000 are Refold's own
    extension=".jp2",
    media_type="image/jp2",
    lossless=True,
    qualities=range(20, 60),  # dB, over all samples
    default_quality=40,
    efforts=range(0),
    max_side=2**31 - 1,
    max_exif=0,
    holds_icc=False,
    options=_options,
)
