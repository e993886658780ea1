"""The wire format of Protocol Buffers, as far as the compact record needs it.

Source: https://protobuf.dev/programming-guides/encoding. Whoever has a Protocol Buffers library
reads a record with the schema in docs/formats.md, and needs none of this.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def varint(number: int, value: int, *, width: int = 0) -> bytes:
    """A field with a whole number of 0 or above.

    Args:
        number: Of the field.
        value: What it holds.
        width: Bytes that the value takes at least: a value that is known only later then takes
            no more than the one in its place.
    """
    return _varint(number << 3 | _VARINT) + _varint(value, width)


def double(number: int, value: float) -> bytes:
    """A field with a number of 64 bits."""
    return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)


def blob(number: int, value: bytes) -> bytes:
    """A field with bytes, or with text in UTF-8, or with a message."""
    return _varint(number << 3 | _LENGTH) + _varint(len(value)) + value


def fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """The fields of a message, by their numbers.

    Raises:
        ValueError: The message is damaged.
    """
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield number, value
            continue
        if kind == _LENGTH:
            length, at = _read_varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        if at + length > len(data):
            raise ValueError("a field reaches past the end")
        part = data[at : at + length]
        at += length
        if kind == _FIXED64:
            yield number, float(struct.unpack("<d", part)[0])
        elif kind == _LENGTH:
            yield number, part


def _varint(value: int, width: int = 0) -> bytes:
    out = bytearray()
    while value > 0x7F or len(out) + 1 < width:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("a number reaches past the end")
        if shift > 63:
            raise ValueError("a number is too large")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
