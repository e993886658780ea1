"""What an archive run has to do, and what it has done so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tasks.catalog import Archived, CatalogRow, State
from tasks.catalog.replacing import THAWED
from tasks.catalog.strategies import StrategyTallies
from tasks.control.record import Counts
from tasks.control.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The difference between inventory and catalog."""

    batches: tuple[pa.RecordBatch, ...]
    """Of `shards.PENDING`: sources that are new, changed, or lack a target."""
    listed: int
    """Sources in the collection."""
    files: frozenset[str] = frozenset()
    """Of the catalog as the comparison began: those that hold no source which is marked as new."""

    @property
    def count(self) -> int:
        """Sources that are pending."""
        return sum(batch.num_rows for batch in self.batches)

    @property
    def nbytes(self) -> int:
        """Their sizes together."""
        return sum(pc.sum(batch.column("size")).as_py() or 0 for batch in self.batches)

    @property
    def unchanged(self) -> int:
        """Sources the catalog has already, in whatever state."""
        return self.listed - self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTally(Tally):
    """What became of sources. A source counts once, whatever its targets."""

    listed: int = 0
    """Sources in the collection."""
    archived: int = 0
    kept: int = 0
    quarantined: int = 0
    cold: int = 0
    """Of those kept, the ones that lie in a cold class and have to be thawed first."""
    unchanged: int = 0
    """Sources the catalog had already, in whatever state."""
    source_bytes: int = 0
    """Total bytes of the archived sources."""
    stored_bytes: int = 0
    """Total bytes of their LR objects."""
    renditions: Counter[State] = field(default_factory=Counter)
    """Rows by state, counted for each source and target."""
    strategies: StrategyTallies = field(default_factory=StrategyTallies)
    """What won, and what each strategy of the plan would have stored alone."""

    @classmethod
    def of(cls, rows: Iterable[CatalogRow]) -> ArchiveTally:
        """Count rows, among them all those of each of their sources."""
        by_source: dict[str, list[CatalogRow]] = {}
        strategies = StrategyTallies()
        for row in rows:
            by_source.setdefault(row.source_key, []).append(row)
            strategies.add(row)
        ends = Counter(map(_state_of, by_source.values()))
        archived = [found for found in by_source.values() if _state_of(found) == "archived"]
        return cls(
            archived=ends["archived"],
            kept=ends["kept"],
            quarantined=ends["quarantined"],
            cold=sum(
                any(row.state == "kept" and row.depends_on == THAWED for row in found)
                for found in by_source.values()
            ),
            source_bytes=sum(found[0].source_size for found in archived),
            stored_bytes=sum(
                row.lr_bytes for found in archived for row in found if isinstance(row, Archived)
            ),
            renditions=Counter(row.state for found in by_source.values() for row in found),
            strategies=strategies,
        )

    @property
    def done(self) -> int:
        """Sources converted, kept or in quarantine."""
        return self.archived + self.kept + self.quarantined

    @property
    def nbytes(self) -> int:
        """Bytes of the archived sources."""
        return self.source_bytes

    @property
    def counts(self) -> Counts:
        """As docs/operations.md says."""
        return Counts(
            listed=self.listed,
            archived=self.archived,
            kept=self.kept,
            quarantined=self.quarantined,
            unchanged=self.unchanged,
            source_bytes=self.source_bytes,
            stored_bytes=self.stored_bytes,
        )


def _state_of(rows: Sequence[CatalogRow]) -> State:
    """How a source ended: in quarantine for one target, in quarantine as a whole."""
    states = {row.state for row in rows}
    if "quarantined" in states:
        return "quarantined"
    return "archived" if "archived" in states else "kept"
