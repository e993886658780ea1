"""What a restoration misses, coded by a library codec and stored within the LR file.

The residual is HR − restored + 128, clipped to 0-255 and coded like any picture; restoring adds
it back. Errors beyond ±127 levels are cut, which the measured quality accounts for. Without a
network, a cheap LR image with a residual costs 10 to 15 % more than the codec alone at full size,
the viewable LR image included; each decibel that the rescaler restores comes off that.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from rescaling_core import codecs
from rescaling_core.codecs import attachment
from rescaling_core.errors import CodecError
from rescaling_core.metadata.evidence import DIGEST_DIGITS
from rescaling_core.metadata.parts import ResidualRecord
from rescaling_core.rescale.decoded import DEFAULT_TILE, restore_decoded

if TYPE_CHECKING:
    from rescaling_core.codecs import CodecSpec
    from rescaling_core.metadata.record import RestorationMetadata
    from rescaling_core.networks.restorer import Restorer
    from rescaling_core.pixels.arrays import U8Array


def describe(
    coded: bytes, spec: CodecSpec, *, luma: bool = False, filtered: bool = False
) -> ResidualRecord:
    """What the restoration metadata say of a coded residual."""
    return ResidualRecord(
        luma=luma or None,
        filtered=filtered or None,
        codec=str(spec),
        quality=spec.quality,
        nbytes=len(coded),
        sha256=hashlib.sha256(coded).hexdigest()[:DIGEST_DIGITS],
    )


def placeholder(spec: CodecSpec, *, luma: bool = False, filtered: bool = False) -> ResidualRecord:
    """As wide as any record of this codec: it keeps room in a draft."""
    return ResidualRecord(
        codec=str(spec),
        quality=99,
        nbytes=10**8,
        sha256="0" * DIGEST_DIGITS,
        luma=luma or None,
        filtered=filtered or None,
    )


def filtered(
    network: Restorer,
    enlarged: U8Array,
    total: U8Array,
    record: RestorationMetadata,
    *,
    tile: int = DEFAULT_TILE,
) -> U8Array:
    """The sum of an enlarged picture and its residual, through the final filter.

    Args:
        network: The filter.
        enlarged: (H, W, C), without the residual.
        total: (H, W, C), with it.
        record: Says at which qualities both were coded.
        tile: As for `restore_decoded`.
    """
    told = None if record.residual is None else record.residual.quality
    beside = [(enlarged, float(record.quality or 0))]
    return restore_decoded(total, float(told or 0), network, beside=beside, tile=tile)


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
