"""What a scrub run counts."""

from __future__ import annotations

from collections.abc import Sequence
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
    cold: tuple[Finding, ...] = ()
    """Renditions that could not be read since they lie in a cold class of their store."""
    repaired: int = 0
    not_repaired: tuple[NotRepaired, ...] = ()
    """Damage that a repair was tried for and could not undo."""

    @classmethod
    def found(cls, items: Sequence[Finding]) -> ScrubTally:
        """Sort what was found: what lies in a cold class is not damaged."""
        return cls(
            findings=tuple(item for item in items if item.problem != "cold"),
            cold=tuple(item for item in items if item.problem == "cold"),
        )

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
            unchanged=self.checked - sum(bool(item.target) for item in self.findings + self.cold),
            stored_bytes=self.read_bytes,
        )
