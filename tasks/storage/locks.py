"""What keeps an object from being removed, whoever asks: Object Lock, in the words of S3."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Lock:
    """The retention and the legal hold of one object."""

    until: datetime | None = None
    """When its retention ends; None where it has none."""
    mode: str | None = None
    """`GOVERNANCE`, which some may bypass (nothing here does), or `COMPLIANCE`."""
    held: bool = False
    """Whether a legal hold keeps it, until somebody lifts that."""

    @property
    def stands(self) -> bool:
        """Whether it keeps the object now."""
        return self.held or (self.until is not None and self.until > datetime.now(UTC))

    def __str__(self) -> str:
        """For messages."""
        if self.held or self.until is None:
            return "a legal hold"
        return f"a retention until {self.until:%Y-%m-%d %H:%M} ({self.mode})"
