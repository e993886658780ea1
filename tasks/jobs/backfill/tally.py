"""What a backfill run counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.catalog import Archived, CatalogRow
from tasks.control.record import Counts
from tasks.control.tally import Tally
from tasks.jobs.backfill.worker import NotFilled


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillTally(Tally):
    """What became of gaps."""

    sources: int = 0
    """Sources with gaps that were worked on."""
    from_sources: int = 0
    """Renditions made from sources."""
    from_restored: int = 0
    """Renditions made from restored images."""
    kept: int = 0
    """Rows that say why there is no rendition."""
    stored_bytes: int = 0
    """Total bytes of the LR objects."""
    failures: tuple[NotFilled, ...] = ()

    @classmethod
    def of(cls, rows: Sequence[CatalogRow], failures: Sequence[NotFilled] = ()) -> BackfillTally:
        """Count the rows of some sources, and those sources that no row could be made for."""
        archived = [row for row in rows if isinstance(row, Archived)]
        restored = sum(row.origin == "restored image" for row in archived)
        return cls(
            sources=len({row.source_key for row in rows}) + len(failures),
            from_sources=len(archived) - restored,
            from_restored=restored,
            kept=len(rows) - len(archived),
            stored_bytes=sum(row.lr_bytes for row in archived),
            failures=tuple(failures),
        )

    @property
    def done(self) -> int:
        """Sources."""
        return self.sources

    @property
    def troubles(self) -> tuple[NotFilled, ...]:
        """Gaps that are left."""
        return self.failures

    @property
    def counts(self) -> Counts:
        """As docs/operations.md says."""
        return Counts(
            listed=self.sources,
            archived=self.from_sources + self.from_restored,
            kept=self.kept,
            quarantined=len(self.failures),
            stored_bytes=self.stored_bytes,
        )
