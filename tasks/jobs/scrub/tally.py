"""What a scrub run counts."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.control.record import Counts
from tasks.control.tally import Tally
from tasks.jobs.scrub.repair import NotRepaired
from tasks.renditions.inspection import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubTally(Tally):
    """What was looked at, found and repaired."""

    checked: int = 0
    """Renditions read and compared with the catalog."""
    restored: int = 0
    """How many of these were chosen to be restored as well."""
    read_bytes: int = 0
    """Total bytes of the LR objects that were read."""
    findings: tuple[Finding, ...] = ()
    repaired: int = 0
    not_repaired: tuple[NotRepaired, ...] = ()
    """Damage that a repair was tried for and could not undo."""

    @property
    def done(self) -> int:
        """Renditions checked."""
        return self.checked

    @property
    def nbytes(self) -> int:
        """Bytes read."""
        return self.read_bytes

    @property
    def troubles(self) -> tuple[Finding | NotRepaired, ...]:
        """All damage, and what could not be repaired."""
        return (*self.findings, *self.not_repaired)

    @property
    def counts(self) -> Counts:
        """As docs/operations.md says."""
        return Counts(
            listed=self.checked,
            archived=self.repaired,
            quarantined=len(self.findings),
            unchanged=self.checked - sum(bool(item.target) for item in self.findings),
            stored_bytes=self.read_bytes,
        )
