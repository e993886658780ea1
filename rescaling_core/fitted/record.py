"""The filter itself, and how it is written down."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rescaling_core.fitted.seen import CLASSES, PAIRS

if TYPE_CHECKING:
    import numpy.typing as npt

COEFFICIENT: Final = 128
"""Coefficients are whole numbers of 1/128, from -128 to 127."""

TAPS: Final = (6, len(PAIRS))
"""How many coefficients a filter may have: with neighbours within two steps, or within three."""

MOST_FILTERS: Final = 15

_CHECKED_BY: Final = 4
"""Bytes of the checksum."""

KINDS: Final = {1: TAPS[0], 2: TAPS[1]}
"""Taps by the first byte of what is written down."""


@dataclass(frozen=True, slots=True)
class FittedFilter:
    """Some filters, and which of them each class of pixels gets."""

    classes: tuple[int, ...]
    """Of each class: the number of its filter, counted from 1; 0 where nothing is filtered."""
    filters: tuple[tuple[int, ...], ...]
    """Coefficients in parts of `COEFFICIENT`, one for each pair of opposite neighbours."""

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: It says what.
        """
        count = len(self.filters)
        if not 1 <= count <= MOST_FILTERS:
            raise ValueError(f"{count} filters: 1 to {MOST_FILTERS}")
        taps = len(self.filters[0])
        if taps not in TAPS or any(len(one) != taps for one in self.filters):
            raise ValueError(f"filters of {taps} coefficients: {TAPS[0]} or {TAPS[1]} each")
        if not all(_is_whole(one, -128, 127) for row in self.filters for one in row):
            raise ValueError("coefficients are whole numbers from -128 to 127")
        if len(self.classes) != CLASSES:
            raise ValueError(f"{len(self.classes)} classes: {CLASSES}")
        if not all(_is_whole(one, 0, count) for one in self.classes):
            raise ValueError(f"a class has a filter that is not there: 0 to {count}")

    def table(self) -> npt.NDArray[np.int32]:
        """(classes, taps): the coefficients of each class."""
        nothing = (0,) * len(self.filters[0])
        return np.array((nothing, *self.filters), np.int32)[list(self.classes)]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in a file."""
        return size_of(len(self.filters), len(self.filters[0]))

    def to_bytes(self) -> bytes:
        """As it lies in a file.

        A byte that names the kind, one with the number of filters, each class's filter in as few
        bits as do, the first class in the lowest ones; the coefficients; a checksum of it all. What
        else a file is checked by says nothing of the filter: its pixels are those before it.
        """
        kind = next(kind for kind, taps in KINDS.items() if taps == len(self.filters[0]))
        width = len(self.filters).bit_length()
        packed = sum(one << at * width for at, one in enumerate(self.classes))
        coefficients = np.array(self.filters, np.int8).tobytes()
        classes = packed.to_bytes(_packed_size(width), "little")
        written = bytes((kind, len(self.filters))) + classes + coefficients
        return written + _checksum(written)

    @classmethod
    def from_bytes(cls, data: bytes) -> FittedFilter:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: It is damaged, or of a kind that this release does not know.
        """
        if not data or data[0] not in KINDS:
            kind = data[0] if data else "none"
            raise ValueError(f"fitted filter of kind {kind}: a newer release is needed")
        taps, count = KINDS[data[0]], data[1] if len(data) > 1 else 0
        if not 1 <= count <= MOST_FILTERS or len(data) != size_of(count, taps):
            raise ValueError(f"fitted filter: {count} filters in {len(data)} bytes")
        data, stated = data[:-_CHECKED_BY], data[-_CHECKED_BY:]
        if _checksum(data) != stated:
            raise ValueError("fitted filter: its checksum is another")
        width = count.bit_length()
        end = 2 + _packed_size(width)
        packed = int.from_bytes(data[2:end], "little")
        classes = [packed >> at * width & (1 << width) - 1 for at in range(CLASSES)]
        rows = np.frombuffer(data[end:], np.int8).reshape(count, taps).tolist()
        return cls(tuple(classes), tuple(map(tuple, rows)))

    def to_json(self) -> dict[str, Any]:
        """For people, and for programs that read JSON."""
        return {"classes": list(self.classes), "filters": [list(one) for one in self.filters]}

    @classmethod
    def from_json(cls, document: Any) -> FittedFilter:
        """Read what `to_json` wrote.

        Raises:
            ValueError: It is damaged.
        """
        try:
            return cls(tuple(document["classes"]), tuple(map(tuple, document["filters"])))
        except (TypeError, KeyError) as error:
            raise ValueError(f"fitted filter: damaged: {error}") from error


def size_of(filters: int, taps: int) -> int:
    """Bytes that filters take in a file."""
    return 2 + _packed_size(filters.bit_length()) + filters * taps + _CHECKED_BY


def _checksum(written: bytes) -> bytes:
    """CRC-32, as zlib has it."""
    return zlib.crc32(written).to_bytes(_CHECKED_BY, "little")


def _packed_size(width: int) -> int:
    return (CLASSES * width + 7) // 8


def _is_whole(value: object, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high
