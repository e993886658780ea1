"""What a worker is asked to restore, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rescaling_core.photo import RestoredFormat
    from tasks.catalog.place import LrPlace


Thaw = Literal["archived", "restoring"]
"""In a cold class, and nobody has asked for it; asked for, and on its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """One rendition to restore, and where to."""

    source_key: str
    place: LrPlace
    metadata_json: str
    output_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A restoration that agreed with what was recorded, and was written."""

    source_key: str
    output_key: str
    psnr_y: float | None
    """dB, as measured against the source when it was archived."""
    nbytes: int
    extras_key: str | None = None
    """The zip beside it, of what its format has no place for; None if there is nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRestored:
    """A restoration that was refused, and why."""

    source_key: str
    reason: str
    thaw: Thaw | None = None
    """How far the thaw is of what it needs and cannot be read for it; None: that is not why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorationJob:
    """What every worker of a restore run is told once."""

    archive_url: str
    destination_url: str
    overwrite: bool
    format: RestoredFormat = "png"
    """Of restored files, but for those that come back as the file they were."""
    thaw: bool = False
    """Ask for what lies in a cold class to be thawed."""
