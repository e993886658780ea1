"""What a rebuild run counts."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.control.record import Counts
from tasks.control.tally import Tally


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An LR object that no row can be made from, and why."""

    lr_key: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildTally(Tally):
    """What became of LR objects."""

    added: int = 0
    """Rows written."""
    present: int = 0
    """Sources and targets that the catalog had already, in whatever state."""
    stored_bytes: int = 0
    """Total bytes of the LR objects whose rows were added."""
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def done(self) -> int:
        """LR objects read."""
        return self.added + self.present + len(self.unreadable)

    @property
    def troubles(self) -> tuple[Unreadable, ...]:
        """What no row was made from."""
        return self.unreadable

    @property
    def counts(self) -> Counts:
        """As docs/operations.md says."""
        return Counts(
            listed=self.done,
            archived=self.added,
            quarantined=len(self.unreadable),
            unchanged=self.present,
            stored_bytes=self.stored_bytes,
        )
