"""What an encoder is told, and what it makes of a known picture: how a change of it is noticed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rescaling_core.codecs.files import encode
from rescaling_core.codecs.spec import CodecSpec
from rescaling_core.codecs.traits import NO_EXTRAS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rescaling_core.pixels.arrays import U8Array

_OF_A_PICTURE: Final = frozenset({"quality", "icc_profile", "exif", "xmp"})
"""Encoder options that belong to one picture, not to how pictures are coded."""

_SIZE: Final = (96, 128)


def settings_of(spec: CodecSpec) -> dict[str, Any]:
    """What the encoder is told beside the quality and what is embedded: JSON-able, by name."""
    options = spec.codec.options(spec.settings, NO_EXTRAS)
    return {key: options[key] for key in sorted(options.keys() - _OF_A_PICTURE)}


def fingerprint(spec: CodecSpec, qualities: Iterable[int]) -> str:
    """A digest that changes when the encoder gives other bytes at these settings.

    Args:
        spec: The codec and its settings; its quality is not used.
        qualities: At which the known picture is coded.

    Returns:
        SHA-256 in hexadecimal, of all the files one after another.

    Raises:
        CodecUnavailableError: The encoder is not installed.
    """
    digest = hashlib.sha256()
    for quality in qualities:
        digest.update(
            encode(known_picture(), CodecSpec(spec.name, quality, spec.chroma, spec.effort))
        )
    return digest.hexdigest()


def known_picture() -> U8Array:
    """(96, 128, 3): slopes, edges, stripes and noise, by whole numbers only."""
    y, x = np.mgrid[: _SIZE[0], : _SIZE[1]]
    noise = (x * 7919 + y * 104_729 + x * y * 31) % 251
    edges = np.where((x // 16 + y // 24) % 2 == 0, 40, 200)
    stripes = np.where((x + 2 * y) % 7 < 3, 230, 20)
    parts = [x * 2 - y // 2, (edges * 3 + noise) // 4, (stripes + edges + 2 * y) // 3]
    halves = [np.where(y < _SIZE[0] // 2, one, np.roll(one, 37, axis=1)) for one in parts]
    return np.asarray(np.clip(np.stack(halves, axis=2), 0, 255), np.uint8)
