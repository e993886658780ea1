"""Whether a record asks for no more than a restoration may take, however it was encoded.

The record comes from an LR file or a catalog, which may come from anybody. Nothing here looks at
pixels or allocates: it runs before a byte of the image is decoded.
"""

from __future__ import annotations

import re
from math import ceil, inf
from typing import TYPE_CHECKING, Final, Protocol

from rescaling_core import limits
from rescaling_core.errors import MetadataError
from rescaling_core.plan.strategy import AS_STORED
from rescaling_core.quality.scores import MEASURES

if TYPE_CHECKING:
    from rescaling_core.metadata.carried import Carried

_RANGES: Final[dict[str, tuple[int, int]]] = {
    "source_size": (0, 2**50),
    "width": (1, limits.MAX_SIDE),
    "height": (1, limits.MAX_SIDE),
    "lr_width": (1, limits.MAX_SIDE),
    "lr_height": (1, limits.MAX_SIDE),
    "latent_seed": (0, limits.MAX_SEED),
    "overlap": (0, limits.MAX_OVERLAP),
    "quality": (-(2**31), 2**31),
    "tried": (0, 2**31),
    "effort": (0, 2**31),
    "refinement": (0, 2**31),
} | {one.name: (int(one.lowest), int(one.highest)) for one in MEASURES.values() if one.whole}
_FINITE: Final = ("scale", *(one.name for one in MEASURES.values() if not one.whole))
_NAMES: Final = (
    "source_key",
    "source_etag",
    "source_sha256",
    "mode",
    "format",
    "target",
    "rescaler",
    "restorer",
    "weights_sha256",
    "codec",
    "software",
    "lr_pixels_sha256",
    "fingerprint",
    "made_from",
)
_DIGESTS: Final = ("source_sha256", "weights_sha256")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_BEGUN: Final = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?")
"""Version 2 keeps the first 16 bytes of a digest of what lies in the same file."""

_SPARE: Final = 2**22
"""LR pixels that tiles may cover beyond `MAX_CONTEXT` times the image: a small one is soon done."""


class Record(Protocol):
    """What is read here of a `RestorationMetadata`, whose module calls this one."""

    @property
    def source_key(self) -> str: ...  # noqa: D102
    @property
    def target(self) -> str: ...  # noqa: D102
    @property
    def rescaler(self) -> str: ...  # noqa: D102
    @property
    def scale(self) -> float: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def lr_width(self) -> int: ...  # noqa: D102
    @property
    def lr_height(self) -> int: ...  # noqa: D102
    @property
    def tile(self) -> int: ...  # noqa: D102
    @property
    def overlap(self) -> int: ...  # noqa: D102
    @property
    def lr_pixels_sha256(self) -> str | None: ...  # noqa: D102
    @property
    def extras(self) -> Carried: ...  # noqa: D102
    @property
    def is_preview(self) -> bool: ...  # noqa: D102


def check_record(record: Record) -> None:
    """Hold a record against the limits of docs/formats.md.

    Raises:
        MetadataError: A field is out of range; the message names it.
    """
    for name, (low, high) in _RANGES.items():
        value = getattr(record, name)
        if value is not None and not low <= value <= high:
            raise _error(f"{name} is {_short(value)}: {low} to {high}")
    for name in _FINITE:
        value = getattr(record, name)
        exact = value == inf and name in MEASURES and MEASURES[name].best == inf
        if value is not None and not exact and not limits.finite(value):
            raise _error(f"{name} is {_short(value)}, not a finite number")
    for name in _NAMES:
        value = getattr(record, name)
        if value is not None and len(value) > limits.MAX_NAME:
            raise _error(f"{name} has {len(value)} characters: at most {limits.MAX_NAME}")
    for name in _DIGESTS:
        value = getattr(record, name)
        if value and not _SHA256.fullmatch(value):
            raise _error(f"{name} is {value!r:.80}, not a SHA-256 in hexadecimal")
    begun = record.lr_pixels_sha256
    if begun and not _BEGUN.fullmatch(begun):
        raise _error(f"lr_pixels_sha256 is {begun!r:.80}, not a SHA-256 in hexadecimal")
    if record.rescaler not in AS_STORED and not record.is_preview:
        _check_tiles(record)
    if record.extras.dpi is not None and not all(map(limits.finite, record.extras.dpi)):
        raise _error("dpi is not finite")


def check_pixels(record: Record, max_pixels: int) -> None:
    """Refuse a restoration of more pixels than allowed.

    Raises:
        MetadataError: It has more.
    """
    pixels = record.width * record.height
    if pixels > max_pixels:
        raise MetadataError(
            f"{record.source_key} at {record.target}: {record.width} x {record.height} is "
            f"{pixels} pixels; at most {max_pixels} are restored, or what REFOLD_MAX_PIXELS says"
        )


def _check_tiles(record: Record) -> None:
    """Refuse tiles so large that no memory holds one, and so small that they never end."""
    tile = record.tile
    if tile and not limits.MIN_TILE <= tile <= limits.MAX_TILE:
        raise _error(
            f"tile is {_short(tile)}: 0, or {limits.MIN_TILE} to {limits.MAX_TILE} HR pixels"
        )
    if not tile:
        if record.width * record.height > limits.MAX_TILE**2:
            raise _error(
                f"tile is 0 for {record.width} x {record.height} pixels: the whole at once has at "
                f"most {limits.MAX_TILE**2}"
            )
        return
    step = max(1, int(tile / record.scale))
    covered = [_covered(side, step, record.overlap) for side in (record.lr_width, record.lr_height)]
    pixels = record.lr_width * record.lr_height
    if covered[0] * covered[1] > limits.MAX_CONTEXT * pixels + _SPARE:
        raise _error(
            f"tiles of {tile} HR pixels with {record.overlap} LR pixels around them: "
            f"more than {limits.MAX_CONTEXT} times the image"
        )


def _covered(side: int, step: int, overlap: int) -> int:
    """LR pixels along one side that all tiles see together, at most."""
    tiles = ceil(side / step)
    return min(tiles * side, side + 2 * overlap * (tiles - 1))


def _short(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of more than 38 digits"
    return f"{value}"


def _error(what: str) -> MetadataError:
    return MetadataError(f"restoration metadata: {what}")
