"""Digests of pixels: exact for what is stored, tolerant for what a network restores."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from rescaling_core.pixels.grey import as_grey
from rescaling_core.quality.scores import measure_all, usual

if TYPE_CHECKING:
    from rescaling_core.metadata.record import RestorationMetadata
    from rescaling_core.pixels.arrays import U8Array

DIGEST_DIGITS: Final = 32
"""Hexadecimal digits of a digest of what lies in the same file: 16 bytes are beyond all chance."""

GRID: Final = 4
"""Blocks a side of the fingerprint."""


def pixels_digest(pixels: U8Array) -> str:
    """SHA-256, in hex, of the samples row by row, channels interleaved."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def pixels_agree(pixels: U8Array, recorded: str | None) -> bool:
    """Whether a digest, or the beginning of one, is that of `pixels`."""
    digits = 0 if recorded is None else len(recorded)
    return digits >= DIGEST_DIGITS and pixels_digest(pixels)[:digits] == recorded


def bytes_digest(data: bytes) -> str:
    """SHA-256, in hex, of a file or a part of one."""
    return hashlib.sha256(data).hexdigest()


def measured(
    draft: RestorationMetadata, lr: U8Array, restored: U8Array, reference: U8Array
) -> RestorationMetadata:
    """A draft with all that can only be measured.

    Args:
        draft: What was known before.
        lr: (h, w, C), the decoded LR pixels.
        restored: (H, W, C), what was restored from them.
        reference: (H, W, C), the source.
    """
    return replace(
        draft,
        lr_pixels_sha256=pixels_digest(lr)[:DIGEST_DIGITS],
        fingerprint=_evidence_of(draft, restored),
        **measure_all(restored, reference, usual()),
    )


def _evidence_of(draft: RestorationMetadata, restored: U8Array) -> str | None:
    """What pixels as they are decoded do not need; of a restorer one plane tells enough."""
    if draft.is_told_by_pixels:
        return None
    return fingerprint(restored if draft.restorer is None else as_grey(restored))


def fingerprint(pixels: U8Array) -> str:
    """Means of 4 × 4 blocks, which tell a wrong restoration from rounding on another machine.

    Args:
        pixels: (H, W, C). Row block i spans rows ⌊i·H/4⌋ up to ⌊(i+1)·H/4⌋, one row at least;
            columns likewise.

    Returns:
        Base64 of 16·C bytes: blocks row by row, channels interleaved, means rounded half up.
    """
    rows, columns = _spans(pixels.shape[0]), _spans(pixels.shape[1])
    means = [
        _mean(pixels[top:bottom, left:right]) for top, bottom in rows for left, right in columns
    ]
    return base64.b64encode(np.stack(means).tobytes()).decode("ascii")


def fingerprint_agrees(pixels: U8Array, recorded: str | None, *, levels: int = 1) -> bool:
    """Whether the fingerprint of `pixels` nowhere differs from a recorded one by over `levels`."""
    if recorded is None:
        return False
    try:
        expected = np.frombuffer(base64.b64decode(recorded), np.uint8).astype(int)
    except ValueError:
        return False
    if expected.size == GRID**2:
        pixels = as_grey(pixels)
    found = np.frombuffer(base64.b64decode(fingerprint(pixels)), np.uint8).astype(int)
    return expected.shape == found.shape and bool((abs(expected - found) <= levels).all())


def _spans(side: int) -> list[tuple[int, int]]:
    starts = [i * side // GRID for i in range(GRID)]
    return [(at, max(at + 1, (i + 1) * side // GRID)) for i, at in enumerate(starts)]


def _mean(block: U8Array) -> U8Array:
    count = block.shape[0] * block.shape[1]
    total = block.sum(axis=(0, 1), dtype=np.int64)
    mean: U8Array = ((2 * total + count) // (2 * count)).astype(np.uint8)
    return mean
