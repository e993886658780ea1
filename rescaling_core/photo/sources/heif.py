"""What AVIF and HEIC hold that Pillow does not tell: depth, colours, crops, further layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rescaling_core.containers import boxes
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.record import TOO_DEEP

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_SRGB_PRIMARIES: Final = (1, 2)
_SRGB_TRANSFERS: Final = (1, 2, 6, 13)
"""As ITU-T H.273 counts: BT.709, unspecified, BT.601, sRGB."""


def check_avif(image: ImageFile, data: bytes) -> None:
    """Refuse an AVIF of which Pillow would give a part.

    Raises:
        UnsupportedImageError: It says which.
        ValueError: The container is damaged.
    """
    meta = boxes.first(data, b"meta") or b""
    # AV1 configuration: marker and version, profile and level, then flags of which bit 6 says
    # "more than 8 bits" (AV1-ISOBMFF 2.3).
    for configuration in _after(meta, b"av1C\x81"):
        if len(configuration) > 1 and configuration[1] & 0x40:
            raise UnsupportedImageError(f"10- or 12-bit samples: {TOO_DEEP}")
    if b"tmap" in (boxes.first(data, b"ftyp") or b""):
        raise UnsupportedImageError("a gain map for HDR screens: it would be lost")
    if b"clap" in meta:
        raise UnsupportedImageError("cropped by its container: the crop would be lost")
    if not image.info.get("icc_profile"):
        for colours in _after(meta, b"colrnclx"):
            _refuse_foreign(int.from_bytes(colours[:2], "big"), int.from_bytes(colours[2:4], "big"))


def check_heic(image: ImageFile) -> None:
    """Refuse a HEIC of which the plugin would give a part.

    Raises:
        UnsupportedImageError: It says which.
    """
    info = image.info
    if info.get("bit_depth", 8) > 8:
        raise UnsupportedImageError(f"{info['bit_depth']}-bit samples: {TOO_DEEP}")
    if info.get("depth_images"):
        raise UnsupportedImageError("a depth map: it would be lost")
    if info.get("aux"):
        raise UnsupportedImageError(
            f"further layers ({', '.join(info['aux'])}): they would be lost"
        )
    colours = info.get("nclx_profile")
    if colours and not info.get("icc_profile"):
        _refuse_foreign(colours["color_primaries"], colours["transfer_characteristics"])


def _refuse_foreign(primaries: int, transfer: int) -> None:
    if primaries not in _SRGB_PRIMARIES or transfer not in _SRGB_TRANSFERS:
        raise UnsupportedImageError(
            f"colours stated by code points ({primaries}, {transfer}) and no profile: "
            "they would be taken for sRGB"
        )


def _after(data: bytes, marker: bytes) -> list[bytes]:
    """The 8 bytes that follow each occurrence."""
    return [part[:8] for part in data.split(marker)[1:]]
