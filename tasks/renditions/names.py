"""How restored files are named."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from tasks.storage.names import MAX_PART_BYTES

RESTORED_EXTENSION: Final = ".png"
"""Of restored files where no other format is asked for."""

_EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "png": (RESTORED_EXTENSION,),
    "tiff": (".tif", ".tiff"),
    "webp": (".webp",),
    "jxl": (".jxl",),
    "source": (".png", ".tif", ".tiff", ".webp", ".jxl", ".bmp", ".dib"),
}
"""By what is asked for: how names end that stay as they are. The first is added to others."""


def output_names(
    source_keys: Iterable[str], exact: Collection[str] = (), format: str = "png"
) -> Mapping[str, str]:
    """Name the restored file of each source: its own key, and `.png` behind it unless it has that.

    Those in `exact` come back as the file they were, under their own key. Two sources never share a
    name: `a.jpg` becomes `a.jpg.png`, or `a.jpg.restored.png` where that is a source too. A name
    that would be too long for a file is cut.

    Args:
        source_keys: Of the sources.
        exact: Those that come back as the file they were.
        format: What restored files are written as: a `RestoredFormat`.
    """
    endings = _EXTENSIONS[format]
    return unique_names(
        {
            key: "" if key in exact or key.lower().endswith(endings) else endings[0]
            for key in source_keys
        }
    )


def unique_names(extensions: Mapping[str, str]) -> Mapping[str, str]:
    """Name the file of each source: its own key, and the extension behind it unless it has that.

    Two sources never share a name, as `output_names` has it.

    Args:
        extensions: Of each source key, with its dot; empty where the file has the key's own.
    """
    keys = sorted(extensions)
    taken = {key for key in keys if key.lower().endswith(extensions[key])}
    names: dict[str, str] = {}
    for key in keys:
        name = key
        if key not in taken:
            extension = extensions[key]
            while (name := extended(key, extension)) in taken:
                extension = f".restored{extension}"
            taken.add(name)
        names[key] = name
    return names


def fitting(key: str, extension: str) -> str:
    """A name that ends as its file's format asks for, which `source` leaves open until it is read.

    Args:
        key: As `output_names` gave it.
        extension: Of the restored file; empty for one that is the source's own.
    """
    endings = next((one for one in _EXTENSIONS.values() if extension in one[:1]), (extension,))
    return key if key.lower().endswith(endings) else extended(key, extension)


def extended(key: str, extension: str) -> str:
    """The key and an extension; a last part too long for a file is cut, a digest tells it apart."""
    part = key.rpartition("/")[2]
    spare = MAX_PART_BYTES - len(extension)
    if len(encoded := part.encode("utf-8", "replace")) <= spare:
        return key + extension
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    cut = encoded[: spare - len(digest) - 1].decode("utf-8", "ignore")
    return f"{key.removesuffix(part)}{cut}~{digest}{extension}"
