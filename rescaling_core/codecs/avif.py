"""AVIF: AV1 in an ISO container; lossy, 4:4:4 unless asked otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rescaling_core.codecs.traits import Codec, Quick, of_format
from rescaling_core.containers import exif
from rescaling_core.containers.layout import BOX

if TYPE_CHECKING:
    from rescaling_core.codecs.traits import FileExtras, Settings

ADVANCED: Final = {"tune": "psnr", "enable-cdef": "1", "sb-size": "64"}
"""Options of libaom. Pillow takes strings alone here.

libavif tunes still pictures for the eye; what is restored from, and held to a floor in dB, takes 5
to 8 % fewer bytes tuned for PSNR (Set5, Kodak 1 to 4, at 34 dB). The filter against ringing, which
libavif leaves out of still pictures, and superblocks of 64 save another 2 to 3 % for no time; see
docs/plans.md.
"""

NUDGES: Final = {
    nudge: {"enable-qm": "1", "qm-min": level, "qm-max": level}
    for nudge, level in (("below", "11"), ("above", "14"))
}
"""Flat quantisation matrices: they move a file by a part of a step between two quantisers. Level 14
is about a sixth of one up for 0.4 % fewer bytes than that is worth, 11 a fifth of one down for
0.5 % more (nine crops of Kodak at qualities 27, 38 and 51)."""


def _options(settings: Settings, extras: FileExtras) -> dict[str, Any]:
    # Pillow rewrites EXIF here, so only the orientation goes in, which it turns into the
    # container's own rotation. One thread, as the tiles, and so the bytes, follow from their
    # number.
    orientation = exif.orientation(extras.exif)
    return {
        "quality": settings.quality,
        "subsampling": settings.chroma or "4:4:4",
        "speed": 6 if settings.effort is None else 10 - settings.effort,
        "max_threads": 1,
        "advanced": ADVANCED | (NUDGES[settings.nudge] if settings.nudge else {}),
        "icc_profile": extras.icc,
        "exif": exif.PREFIX + exif.minimal(orientation) if orientation > 1 else b"",
        "xmp": extras.xmp,
    }


def _quantiser(quality: int) -> int:
    """Of 0 to 63, the coarsest last. Source: libavif, `avifQualityToQuantizer` in src/write.c."""
    return ((100 - quality) * 63 + 50) // 100


AVIF: Final = Codec(
    name="avif",
    pillow_format="AVIF",
    is_file=of_format("AVIF"),
    layout=BOX,
    numbers={"avif": 6, "avif-420": 7, "avif-400": 10},
    extension=".avif",
    media_type="image/avif",
    lossless=False,
    qualities=range(101),
    default_quality=80,
    chromas=("4:4:4", "4:2:0"),
    efforts=range(11),
    max_side=16_384,  # libavif refuses to read larger ones unless told otherwise
    max_exif=0,
    quick=Quick(
        effort=1,
        shift=-2.9,
        ratio=0.78,
        usual=4,
        shift_per_effort=-0.6,
        ratio_per_effort=0.96,
    ),
    nudges=True,
    differs_from_below=lambda quality: _quantiser(quality) != _quantiser(quality - 1),
    options=_options,
    grey_options={"subsampling": "4:0:0"},
)
