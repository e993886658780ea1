"""Which table segments of a JPEG its picture is decoded with.

A segment may define tables that nothing refers to, or that are defined again before they are used.
What such a table holds is not part of the picture, and could be anything.

Source: ITU-T T.81, annex B.2 and annex K.3.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Segment = tuple[int, int, int]
"""Marker, start and end of the payload, as `jpeg.walk` gives them."""
Table = tuple[str, int]
"""`q`, `dc` or `ac`, and the number of the table."""

DHT: Final = 0xC4
DQT: Final = 0xDB
_SOS: Final = 0xDA
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_USUAL: Final = frozenset(("9fb04cb1a8076318", "f27ce9b718f91cd4")) | frozenset(
    ("af48d4f608dfb682", "8cf60aa835f8474b")
)
"""Digests of the tables of annex K.3, which cameras write whether or not they are used."""
_CLASSES: Final = ("dc", "ac")


def unused(data: bytes, segments: Iterable[Segment]) -> set[int]:
    """Starts of the payloads of table segments of which the picture does not need every byte.

    Args:
        data: The file.
        segments: All of the file.
    """
    defined: dict[Table, int] = {}
    waiting: dict[int, set[Table]] = {}
    """Of each segment, the tables that no scan has used yet."""
    found: set[int] = set()
    components: dict[int, int] = {}
    for marker, start, end in segments:
        payload = data[start:end]
        if marker in (DHT, DQT):
            tables = _huffman(payload) if marker == DHT else _quantisation(payload)
            if tables is None:
                found.add(start)
                continue
            waiting[start] = set(tables)
            defined |= dict.fromkeys(tables, start)
        elif marker in _FRAMES and len(payload) >= 6:
            ids = range(6, len(payload) - 2, 3)
            components = {payload[at]: payload[at + 2] for at in ids}
        elif marker == _SOS and payload:
            for table in _used_by(payload, components):
                if table in defined:
                    waiting[defined[table]].discard(table)
    return found | {start for start, tables in waiting.items() if tables}


def _used_by(scan: bytes, components: dict[int, int]) -> list[Table]:
    used: list[Table] = []
    for at in range(1, 1 + 2 * scan[0], 2):
        if at + 1 < len(scan):
            component, numbers = scan[at], scan[at + 1]
            used += [("q", components.get(component, -1)), ("dc", numbers >> 4)]
            used.append(("ac", numbers & 15))
    return used


def _quantisation(payload: bytes) -> list[Table] | None:
    """The tables of a segment; None if it is not made of tables alone."""
    found: list[Table] = []
    at = 0
    while at < len(payload):
        found.append(("q", payload[at] & 15))
        at += 1 + 64 * (1 + (payload[at] >> 4))
    return found if at == len(payload) else None


def _huffman(payload: bytes) -> list[Table] | None:
    """The tables of a segment that are not the usual ones; None if it is not made of them alone."""
    found: list[Table] = []
    at = 0
    while at + 17 <= len(payload):
        stop = at + 17 + sum(payload[at + 1 : at + 17])
        kind = payload[at] >> 4
        if kind > 1:
            return None
        table = payload[at:stop]
        if hashlib.sha256(table).hexdigest()[:16] not in _USUAL:
            found.append((_CLASSES[kind], payload[at] & 15))
        at = stop
    return found if at == len(payload) else None
