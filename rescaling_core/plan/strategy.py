"""What kinds of candidates are called, in reports and in comparisons."""

from __future__ import annotations

from rescaling_core.model_ids import name_of

FULL_SIZE = "none"
"""Stands in place of a rescaler's id: there is no network and no LR image; the file at full size is
the restoration."""

TRANSCODE = "jpeg-transcode"
"""Stands in place of a rescaler's id: a JPEG source is stored as JPEG XL, from which it comes back
bit for bit."""

REPACK = "repack"
"""Stands in place of a rescaler's id: a picture to look at, and beside it the source file, packed,
from which that comes back whole. It is for sources that no photo can be made of without loss."""

DEEP = "deep"
"""Stands in place of a rescaler's id: as `REPACK`, but of a file of 16 bits a sample, whose colours
are coded with a loss at 12 bits; the file that comes back is the source but for them."""

PACKED = (REPACK, DEEP)
"""Beside a picture to look at lies a file, packed. They are tried for sources that no photo can be
made of without loss, and for no other."""

AS_STORED = (FULL_SIZE, TRANSCODE, REPACK, DEEP)
"""Where there is no network: what is restored lies in the file."""

OWN_FILE = (TRANSCODE, REPACK, DEEP)
"""What comes back is a file as it was, in the source's own format."""

EXACT_FILE = (TRANSCODE, REPACK)
"""What comes back is the very file that the source was."""

_AT_FULL_SIZE = " at full size"
_FITTED = "fitted filter"
_TRANSCODED = "JPEG XL of the JPEG"
_REPACKED = "packed file"
_DEEP = "12-bit AVIF in the packed file"


def strategy_name(
    rescaler: str,
    codec: str,
    *,
    residual: bool = False,
    refined: bool = False,
    colour: bool = False,
    restorer: str | None = None,
    fitted: bool = False,
) -> str:
    """Candidates that differ in qualities, steps or versions of the weights have the same name.

    Args:
        rescaler: An id of weights, `FULL_SIZE` or `TRANSCODE`.
        codec: As `CodecSpec.parse` reads it.
        residual: Whether what the restoration misses is stored as well.
        refined: Whether the LR image is refined.
        colour: Whether the LR image of a grey source is in colour.
        restorer: Id of what improves the decoded picture, or enlarges it; its tag does not matter.
        fitted: Whether a filter is fitted to what is restored at full size.
    """
    if rescaler == FULL_SIZE:
        behind = [*([name_of(restorer)] if restorer is not None else []), *[_FITTED] * fitted]
        return " + ".join((codec, *behind)) + _AT_FULL_SIZE
    if rescaler == TRANSCODE:
        return _TRANSCODED
    if rescaler == REPACK:
        return _REPACKED
    if rescaler == DEEP:
        return _DEEP
    traits = [
        codec,
        *([f"+ {name_of(restorer)}"] if restorer is not None else []),
        *(["refined"] if refined else []),
        *(["in colour"] if colour else []),
    ]
    return f"{name_of(rescaler)}, {' '.join(traits)}{' + residual' if residual else ''}"


def is_full_size(strategy: str) -> bool:
    """Whether a name that `strategy_name` gave is of files at full size, beside no LR image."""
    return strategy in (_TRANSCODED, _REPACKED, _DEEP) or strategy.endswith(_AT_FULL_SIZE)
