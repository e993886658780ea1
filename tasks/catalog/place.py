"""Which bytes of an archive are the LR file of a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LrPlace:
    """Where an LR file lies, and what it was when it was written."""

    lr_key: str
    """Key of the LR object, relative to the archive."""
    lr_bytes: int
    """Size of the LR file."""
    lr_sha256: str
    """SHA-256 of the LR file."""
