"""What a backfill run has done so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.jobs.backfill.worker import Filled, NotFilled


@dataclass(slots=True)
class BackfillTally:
    """Counts that grow as renditions are committed."""

    from_sources: int = 0
    """Renditions."""
    from_restored: int = 0
    kept: int = 0
    stored_bytes: int = 0
    failures: list[NotFilled] = field(default_factory=list)
    done: int = 0
    """Sources."""
    finished: set[str] = field(default_factory=set)
    """Keys of the wave under way: if it is tried again, it passes over them."""

    def add(self, filled: Filled) -> None:
        """Count what became of some gaps."""
        archived = [row for row in filled.rows if row.state == "archived"]
        restored = sum(row.origin == "restored image" for row in archived)
        self.from_restored += restored
        self.from_sources += len(archived) - restored
        self.kept += len(filled.rows) - len(archived)
        self.stored_bytes += sum(row.lr_bytes or 0 for row in archived)
        self.failures += filled.failures
