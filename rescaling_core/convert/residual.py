"""What a restoration misses, coded by a library codec and stored within the LR file.

The residual is HR − restored + 128, clipped to 0-255 and coded like any picture; restoring adds
it back. Errors beyond ±127 levels are cut, which the measured quality accounts for. Without a
network, a cheap LR image with a residual costs 10 to 15 % more than the codec alone at full size,
the viewable LR image included; each decibel that the rescaler restores comes off that.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from rescaling_core import codecs
from rescaling_core.codecs import attachment
from rescaling_core.errors import CodecError
from rescaling_core.metadata.evidence import DIGEST_DIGITS
from rescaling_core.metadata.record import ResidualRecord
from rescaling_core.pixels.strips import strips

if TYPE_CHECKING:
    from collections.abc import Callable

    from rescaling_core.codecs import CodecSpec
    from rescaling_core.pixels.arrays import U8Array

I16Array = npt.NDArray[np.int16]

_LUMA: Final = np.array([19_595, 38_470, 7_471], np.int32)
"""BT.601's weights, in parts of 65,536."""

ZERO: Final = 128
"""The level that stands for no difference."""


def difference(hr: U8Array, restored: U8Array, *, luma: bool = False) -> U8Array:
    """The residual as a picture.

    Args:
        hr: (H, W, C), what should have been restored.
        restored: The same shape.
        luma: Keep what is missing of luma alone, in one plane.

    Returns:
        (H, W, C), or (H, W, 1) of luma: 128 where nothing is missing.
    """
    if not luma or hr.shape[2] == 1:
        return _strip_by_strip(lambda a, b: a - b + ZERO, hr, restored)
    missing = np.empty((*hr.shape[:2], 1), np.uint8)
    for strip in strips(hr.shape):
        wide = hr[strip].astype(np.int32) - restored[strip].astype(np.int32)
        levels = (wide @ _LUMA + (1 << 15)) >> 16
        missing[strip] = (levels + ZERO).clip(0, 255)[..., None]
    return missing


def add(restored: U8Array, residual: U8Array) -> U8Array:
    """Add a residual to a restoration, clipped to 0-255; one of luma to all three channels."""
    if residual.shape[2] == 1 and restored.shape[2] == 3:
        residual = np.broadcast_to(residual, restored.shape)
    return _strip_by_strip(lambda a, b: a + b - ZERO, restored, residual)


def describe(coded: bytes, spec: CodecSpec, *, luma: bool = False) -> ResidualRecord:
    """What the restoration metadata say of a coded residual."""
    return ResidualRecord(
        luma=luma or None,
        codec=str(spec),
        quality=spec.quality,
        nbytes=len(coded),
        sha256=hashlib.sha256(coded).hexdigest()[:DIGEST_DIGITS],
    )


def placeholder(spec: CodecSpec, *, luma: bool = False) -> ResidualRecord:
    """As wide as any record of this codec: it keeps room in a draft."""
    return ResidualRecord(
        codec=str(spec),
        quality=99,
        nbytes=10**8,
        sha256="0" * DIGEST_DIGITS,
        luma=luma or None,
    )


def restore_with(restored: U8Array, lr_data: bytes, record: ResidualRecord, name: str) -> U8Array:
    """Add the residual stored in an LR file.

    Args:
        restored: (H, W, C), what the rescaler gave.
        lr_data: The LR file.
        record: What its metadata say of the residual.
        name: What it is about, for the error.

    Raises:
        CodecError: The residual is missing or damaged.
    """
    return add(restored, decoded(lr_data, record, restored.shape, name))


def decoded(lr_data: bytes, record: ResidualRecord, shape: tuple[int, ...], name: str) -> U8Array:
    """The residual stored in an LR file, as a picture.

    Args:
        lr_data: The LR file.
        record: What its metadata say of the residual.
        shape: (H, W, C) of what it is added to.
        name: What it is about, for the error.

    Returns:
        (H, W, C), or (H, W, 1) of luma.

    Raises:
        CodecError: The residual is missing or damaged.
    """
    coded = attachment.read(lr_data, "rsdl")
    digest = "" if coded is None else hashlib.sha256(coded).hexdigest()
    known = len(record.sha256) >= DIGEST_DIGITS
    if coded is None or not known or not digest.startswith(record.sha256):
        state = "missing" if coded is None else "not the one that was measured"
        raise CodecError(f"{name}: its residual is {state}")
    height, width, channels = shape
    if record.luma:
        channels = 1
    residual = codecs.decode(coded, channels=channels, max_pixels=height * width)
    if residual.shape != (height, width, channels):
        raise CodecError(f"{name}: its residual is of another size than the image")
    return residual


def _strip_by_strip(
    compute: Callable[[I16Array, I16Array], I16Array], a: U8Array, b: U8Array
) -> U8Array:
    """Compute in 16 bits and clip, without 16-bit copies of whole images."""
    if a.shape != b.shape:
        raise ValueError(f"shapes differ: {a.shape} and {b.shape}")
    result = np.empty(a.shape, np.uint8)
    for strip in strips(a.shape):
        wide = compute(a[strip].astype(np.int16), b[strip].astype(np.int16))
        result[strip] = wide.clip(0, 255)
    return result
