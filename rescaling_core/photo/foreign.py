"""What of a source is not understood: carried as it is, or the reason why the source is kept.

Films, further pictures and gain maps are not carried, however they are marked: they are told by
what they start with, wherever they lie.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rescaling_core.containers.jpeg import EMPTY
from rescaling_core.containers.parts import UNKNOWN
from rescaling_core.errors import UnsupportedImageError
from rescaling_core.photo.record import Foreign

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rescaling_core.containers.parts import Part

DEFAULT_MAX_CARRIED: Final = 2**22
"""Bytes of all that a photo may carry beside pixels and alpha, unpacked: 4 MiB."""

MOST_CARRIED: Final = 2**26
"""The most that a plan may allow, and that a reader unpacks: 64 MiB."""

MOST_PARTS: Final = 10_000
"""Things that a photo may carry, however small: a record of more is refused by its readers."""

_FILM: Final = re.compile(
    rb"\0\0[\0-\x03].ftyp"  # MP4, QuickTime, 3GP, HEIF
    rb"|moov....(?:mvhd|cmov|trak|udta)"
    rb"|\0\0\0\x08wide....mdat"
    rb"|RIFF....AVI[ X]"
    rb"|\x1a\x45\xdf\xa3"  # Matroska, WebM
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11"  # ASF, WMV
    rb"|FLV\x01[\x01\x04\x05]"
    rb"|OggS\0[\0-\x07]"
    rb"|DKIF\0\0"  # IVF
    rb"|\.RMF\0\0"
    rb"|\0\0\x01\xba[\x21\x44-\x7f]"  # MPEG program stream
    rb"|\0\0\x01\xb3.{4}"  # MPEG video
    rb"|\0\0\0\x01[\x27\x47\x67][\x42\x4d\x58\x64]"  # H.264 by itself
    rb"|\0\0\0\x01\x40\x01\x0c"  # HEVC by itself
    rb"|(?:\x47.{187}){4}\x47"  # MPEG transport stream
    rb"|(?:\x47.{191}){4}\x47",
    re.DOTALL,
)
_PICTURE: Final = re.compile(
    rb"\xff\xd8\xff[\xc0-\xef\xfe]"
    rb"|\x89PNG\r\n\x1a\n"
    rb"|GIF8[79]a"
    rb"|RIFF....WEBP"
    rb"|\0\0\0\x0cJXL \r\n\x87\n"
    rb"|\0\0\0\x0cjP  \r\n\x87\n"
    rb"|\xff\x4f\xff\x51",
    re.DOTALL,
)
_GAIN_MAP: Final = re.compile(
    rb"gain[_-]?map|hdrgm:|urn:iso:std:iso:ts:21496|jhgm", re.DOTALL | re.IGNORECASE
)
"""Adobe's, Apple's, ISO's, Google's and JPEG XL's marks."""
_METADATA_WITH_PICTURES: Final = re.compile(rb"jumb|jumd|c2pa", re.DOTALL)
"""Thumbnails inside C2PA manifests do not count as further pictures."""
_LEAD: Final = 12
"""Bytes before a part that may tell what it is: the header of its box or chunk."""


def refuse_gain_map(metadata: bytes | None) -> None:
    """Refuse a photo whose metadata announce a gain map.

    Raises:
        UnsupportedImageError: They do.
    """
    if metadata and _GAIN_MAP.search(metadata):
        raise UnsupportedImageError("a gain map for HDR screens: it would be lost")


def foreign_of(data: bytes, parts: Iterable[Part]) -> tuple[Foreign, ...]:
    """The parts of a file that are not understood, to be carried as they are.

    Args:
        data: The file.
        parts: As a walker gave them.

    Raises:
        UnsupportedImageError: One is a film, a further picture or a gain map.
    """
    found = []
    for part in parts:
        if part.kind == UNKNOWN:
            refuse_pictures(data, part)
            found.append(Foreign(part.name, part.offset, part.of(data)))
    return tuple(found)


def refuse_pictures(data: bytes, part: Part) -> None:
    """Refuse a part that holds a film, a further picture or a gain map.

    Segments of a JPEG may hold thumbnails; everywhere else a picture is a picture.

    Raises:
        UnsupportedImageError: It says which, and where.
    """
    lead = 0 if part.name in ("trailer", "unused tables", EMPTY) else min(_LEAD, part.offset)
    content = data[part.offset - lead : part.end]
    where = f"{part.length} bytes of {part.name} at offset {part.offset}"
    refuse_gain_map(content)
    if _FILM.search(content):
        raise UnsupportedImageError(f"a film in the file ({where}): it would be lost")
    if part.name.startswith("APP") or _METADATA_WITH_PICTURES.search(content):
        return
    if _PICTURE.search(content):
        raise UnsupportedImageError(
            f"several pictures in the file ({where}): only one would be carried"
        )


def refuse_too_much(sizes: Sequence[int], limit: int) -> None:
    """Refuse a photo that carries more than is allowed.

    Args:
        sizes: Bytes of each thing that it carries.
        limit: Bytes that they may have together.

    Raises:
        UnsupportedImageError: They have more, or are too many.
    """
    if len(sizes) > MOST_PARTS:
        raise UnsupportedImageError(
            f"{len(sizes)} pieces of metadata and other data beside the picture; at most "
            f"{MOST_PARTS} are carried"
        )
    if (total := sum(sizes)) > limit:
        raise UnsupportedImageError(
            f"{total} bytes of metadata and other data beside the picture; at most {limit} are "
            "carried (max_carried of the plan)"
        )
