"""Ids of weights: a name, and a tag that changes whenever the weights do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_TAGGED: Final = re.compile(r"(?P<name>.+)\.(?P<tag>\d{4}-\d{2}[a-z]?)")
_TAKEN: Final = frozenset({"none", "jpeg-transcode", "repack", "deep", "bicubic", "lanczos"})
"""What records call renditions that no weights made."""

_SOUND: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def name_of(model_id: str) -> str:
    """The id without its tag: `irn-x2-lite` of `irn-x2-lite.2026-11`."""
    tagged = _TAGGED.fullmatch(model_id)
    return tagged["name"] if tagged else model_id


def tag_of(model_id: str) -> str:
    """The tag: the month the weights were made, with a letter where a month has several.

    Later weights have a greater tag, as text. Ids that were given without one have the empty tag.
    """
    tagged = _TAGGED.fullmatch(model_id)
    return tagged["tag"] if tagged else ""


def is_sound(model_id: str) -> bool:
    """Whether weights can have this id: up to 100 letters, digits and `. _ + -`, no path."""
    return _SOUND.fullmatch(model_id) is not None and model_id not in _TAKEN


def matching(asked: str, known: Iterable[str]) -> list[str]:
    """The ids that a request may mean.

    Args:
        asked: An id with its tag, or a name alone.
        known: Ids to choose from.

    Returns:
        That very id where it is known, else all ids of that name, the newest first.
    """
    ids = list(known)
    if asked in ids:
        return [asked]
    return sorted((one for one in ids if name_of(one) == asked), key=tag_of, reverse=True)
