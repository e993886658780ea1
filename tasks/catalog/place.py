"""Which bytes of an archive are the LR file of a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LrPlace:
    """Where an LR file lies, and what it was when it was written."""

    lr_key: str
    """Names the LR file: the key of its object, relative to the archive, or of that which it is
    when its pack is unpacked there."""
    lr_bytes: int
    """Size of the LR file."""
    lr_sha256: str
    """SHA-256 of the LR file."""
    pack_key: str | None = None
    """Key of the pack that holds it, relative to the archive; None if it is an object itself."""
    pack_offset: int | None = None
    """Of its first byte in the pack."""

    @property
    def name(self) -> str:
        """As errors name it."""
        return self.lr_key if self.pack_key is None else f"{self.lr_key} in {self.pack_key}"


@dataclass(frozen=True, slots=True)
class Move:
    """An LR file that was put into another pack, and the row that is to say so."""

    source_key: str
    target: str
    lr_key: str
    old_pack: str
    """Key of the pack that the row names: a row that names another by then stays as it is."""
    pack_key: str
    """Key of the pack that holds it now."""
    pack_offset: int
    """Of its first byte there."""
