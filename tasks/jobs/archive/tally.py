"""What an archive run has to do, and what it has done so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from tasks.catalog import CatalogRow
from tasks.catalog.strategies import StrategyTallies
from tasks.collection.shards import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The difference between inventory and catalog."""

    batches: tuple[pa.RecordBatch, ...]
    """Of `listing.SCHEMA`: sources that are new, changed, or lack a target."""
    listed: int
    """Sources in the collection."""

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


@dataclass(slots=True)
class RunTally:
    """Counts that grow as shards are committed. A source counts once, whatever its targets."""

    archived: int = 0
    kept: int = 0
    quarantined: int = 0
    source_bytes: int = 0
    """Of the archived sources."""
    stored_bytes: int = 0
    """Of their LR objects."""
    renditions: dict[str, int] = field(
        default_factory=lambda: {"archived": 0, "kept": 0, "quarantined": 0}
    )
    strategies: StrategyTallies = field(default_factory=StrategyTallies)
    """What won, and what each strategy of the plan would have stored alone."""
    shards: set[str] = field(default_factory=set)
    """Ids of those counted: a wave that is tried again passes over them."""

    def add(self, shard: Shard, rows: Sequence[CatalogRow]) -> None:
        """Count the rows of one shard."""
        self.shards.add(shard.shard_id)
        by_source: dict[str, list[CatalogRow]] = {}
        for row in rows:
            by_source.setdefault(row.source_key, []).append(row)
            self.renditions[row.state] += 1
            self.strategies.add(row)
        for of_source in by_source.values():
            states = {row.state for row in of_source}
            if "quarantined" in states:
                self.quarantined += 1
            elif "archived" in states:
                self.archived += 1
                self.source_bytes += of_source[0].source_size
                self.stored_bytes += sum(row.lr_bytes or 0 for row in of_source)
            else:
                self.kept += 1

    @property
    def sources(self) -> int:
        """Sources accounted for."""
        return self.archived + self.kept + self.quarantined
