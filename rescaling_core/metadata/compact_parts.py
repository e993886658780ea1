"""The messages within a compact record: what the LR image misses, and how a JPEG was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rescaling_core.codecs import CODECS
from rescaling_core.metadata import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

CODEC_NUMBERS: Final = {
    text: number for one in CODECS.values() for text, number in one.numbers.items()
}
_CODECS: Final = {number: text for text, number in CODEC_NUMBERS.items()}
_SUBSAMPLINGS: Final = (None, "4:4:4", "4:2:2", "4:2:0")
_JPEG: Final = {"qualities", "subsampling", "progressive"}


def codec_of(number: int) -> str:
    """The codec of a number.

    Raises:
        ValueError: There is none.
    """
    if number not in _CODECS:
        raise ValueError(f"codec {number} is not known: a newer release is needed")
    return _CODECS[number]


def pack_residual(residual: Mapping[str, Any]) -> bytes:
    """The message `Residual`."""
    parts = [wire.varint(1, CODEC_NUMBERS[residual["codec"]])]
    if residual.get("quality") is not None:
        parts.append(wire.varint(2, residual["quality"]))
    parts.append(wire.varint(3, residual["nbytes"]))
    parts.append(wire.blob(4, bytes.fromhex(residual["sha256"])))
    if residual.get("luma"):
        parts.append(wire.varint(5, 1))
    if residual.get("filtered"):
        parts.append(wire.varint(6, 1))
    return b"".join(parts)


def unpack_residual(data: bytes) -> dict[str, Any]:
    """Read what `pack_residual` wrote.

    Raises:
        ValueError: It is damaged.
    """
    residual: dict[str, Any] = {"quality": None}
    for number, value in wire.fields(data):
        if number == 1 and isinstance(value, int):
            residual["codec"] = codec_of(value)
        elif number == 2 and isinstance(value, int):
            residual["quality"] = value
        elif number == 3 and isinstance(value, int):
            residual["nbytes"] = value
        elif number == 4 and isinstance(value, bytes):
            residual["sha256"] = value.hex()
        elif number == 5:
            residual["luma"] = bool(value)
        elif number == 6:
            residual["filtered"] = bool(value)
    return residual


def pack_jpeg(jpeg: Mapping[str, Any] | None) -> bytes | None:
    """The message `Jpeg`, or None where there is none, or more to say than it can."""
    if jpeg is None or set(jpeg) != _JPEG:
        return None
    return b"".join(
        (
            wire.blob(1, bytes(jpeg["qualities"])),
            wire.varint(2, _SUBSAMPLINGS.index(jpeg["subsampling"])),
            wire.varint(3, int(jpeg["progressive"])),
        )
    )


def unpack_jpeg(data: bytes) -> dict[str, Any]:
    """Read what `pack_jpeg` wrote.

    Raises:
        ValueError: It is damaged.
        IndexError: It is damaged.
    """
    jpeg: dict[str, Any] = {"qualities": [], "subsampling": None, "progressive": False}
    for number, value in wire.fields(data):
        if number == 1 and isinstance(value, bytes):
            jpeg["qualities"] = list(value)
        elif number == 2 and isinstance(value, int):
            jpeg["subsampling"] = _SUBSAMPLINGS[value]
        elif number == 3:
            jpeg["progressive"] = bool(value)
    return jpeg
