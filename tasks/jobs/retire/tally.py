"""What a retire run counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tasks.control.record import Counts
from tasks.control.tally import Tally
from tasks.jobs.retire.worker import Unproven


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireTally(Tally):
    """What was decided on sources. Every listed source counts once."""

    deleted: int = 0
    deleted_bytes: int = 0
    moved: int = 0
    """To another storage class."""
    moved_bytes: int = 0
    marked: int = 0
    waiting: int = 0
    stay: Counter[str] = field(default_factory=Counter)
    """How many sources may not go, by the reason."""
    unproven: tuple[Unproven, ...] = ()
    released: int = 0
    """Marks taken back; their sources are counted above as well."""

    @property
    def done(self) -> int:
        """Sources decided on."""
        counted = self.marked + self.waiting + self.deleted + self.moved
        return counted + self.stay.total() + len(self.unproven)

    @property
    def nbytes(self) -> int:
        """Total bytes of the sources that were deleted or moved."""
        return self.deleted_bytes + self.moved_bytes

    @property
    def troubles(self) -> tuple[Unproven, ...]:
        """Sources whose restoration is not what it should be."""
        return self.unproven

    @property
    def counts(self) -> Counts:
        """As docs/operations.md says."""
        return Counts(
            listed=self.done,
            archived=self.deleted + self.moved,
            kept=self.marked + self.waiting,
            quarantined=len(self.unproven),
            unchanged=self.stay.total(),
            source_bytes=self.nbytes,
        )
