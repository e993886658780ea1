"""What a restored PNG has no place for, as a zip that lies beside it and inside it.

The zip is stored, not compressed, and its dates are fixed: the same photo gives the same bytes.
`parts.json` says of each part what it was called and where in the source it lay. The same zip is in
the PNG, in a private chunk that is safe to copy, so that a picture that was parted from the file
beside it has lost nothing, and can be archived again.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from typing import TYPE_CHECKING, Final

from rescaling_core.containers import jpeg
from rescaling_core.photo.record import Foreign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.photo.record import Photo

CHUNK: Final = "rfEx"
"""Ancillary, private, safe to copy."""
EXTENSION: Final = ".extras.zip"
LIST: Final = "parts.json"
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_READ_ME: Final = (
    "What the source of this restored picture held beside it, byte for byte, and what PNG has no "
    "place for. `offset` is where in the source a part began; null where that was not recorded."
)


def parts_beside(photo: Photo) -> tuple[Foreign, ...]:
    """All that a restored PNG of a photo has no place of its own for, in the source's order."""
    found: list[Foreign] = []
    if photo.traits.jpeg is not None:
        segments = photo.traits.jpeg.segments
        for marker, start, end in jpeg.walk(segments):
            payload = segments[start:end]
            if marker == jpeg.APP13 and payload.startswith(jpeg.PHOTOSHOP):
                continue
            if marker == jpeg.COM and text_of_comment(payload) is not None:
                continue
            name = "COM" if marker == jpeg.COM else f"APP{marker - jpeg.APP0}"
            found.append(Foreign(name, None, payload))
    found += photo.traits.foreign
    if photo.traits.trailer:
        found.append(Foreign("trailer", None, photo.traits.trailer))
    return tuple(found)


def text_of_comment(payload: bytes) -> tuple[str, bytes] | None:
    """The PNG chunk that gives a comment of a JPEG back byte for byte; None if none does."""
    if b"\0" in payload or payload[-1:] == b"\0":
        return None
    try:
        payload.decode("utf-8")
    except UnicodeDecodeError:
        return "tEXt", b"Comment\0" + payload  # Latin-1, which has every byte but zero
    return "iTXt", b"Comment\0\0\0\0\0" + payload


def zipped(parts: Sequence[Foreign], format: str) -> bytes:
    """Put parts into a zip.

    Args:
        parts: At least one.
        format: Of the source, as Pillow names it.
    """
    buffer = io.BytesIO()
    entries = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number, part in enumerate(parts, 1):
            name = f"{number:02d}-{_file_name(part.name)}.bin"
            entries.append(
                {
                    "file": name,
                    "name": part.name,
                    "offset": part.offset,
                    "length": len(part.data),
                    "sha256": hashlib.sha256(part.data).hexdigest(),
                }
            )
            archive.writestr(zipfile.ZipInfo(name, _DATE), part.data)
        listed = {"about": _READ_ME, "source_format": format, "parts": entries}
        text = json.dumps(listed, indent=1, ensure_ascii=True)
        archive.writestr(zipfile.ZipInfo(LIST, _DATE), text)
    return buffer.getvalue()


def unzipped(data: bytes) -> tuple[Foreign, ...]:
    """Read what `zipped` wrote.

    Raises:
        ValueError: It is not such a zip, or is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            listed = json.loads(archive.read(LIST))["parts"]
            return tuple(
                Foreign(one["name"], one["offset"], archive.read(one["file"])) for one in listed
            )
    except (zipfile.BadZipFile, KeyError, TypeError, OSError, EOFError) as error:
        raise ValueError(f"not a zip of parts: {error}") from error


def _file_name(name: str) -> str:
    """Letters, digits and a few signs that every file system takes."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-") or "part"
