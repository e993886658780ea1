"""Which strategy won how often, and what was saved against each of them alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rescaling_core.convert import Rival
from rescaling_core.metadata import RestorationMetadata
from tasks.catalog import CatalogRow


def to_json(rivals: Sequence[Rival]) -> str | None:
    """As the catalog holds it: bytes by strategy; `[bytes]` where it is that many or more."""
    if not rivals:
        return None
    costs = {one.strategy: [one.nbytes] if one.at_least else one.nbytes for one in rivals}
    return json.dumps(costs, separators=(",", ":"))


def from_json(text: str | None) -> tuple[Rival, ...]:
    """The other way."""
    costs: dict[str, int | list[int]] = json.loads(text or "{}")
    return tuple(
        Rival(name, cost[0], at_least=True) if isinstance(cost, list) else Rival(name, cost)
        for name, cost in costs.items()
    )


@dataclass(slots=True)
class StrategyTally:
    """Adds up what strategies would have stored, for each target of its own.

    Renditions whose conversion left no such account are passed over: previews, which have no
    choice, and those that a rebuilt catalog found.
    """

    won: Counter[str] = field(default_factory=Counter)
    """Renditions that each strategy made."""
    renditions: int = 0
    stored_bytes: int = 0
    """Of those renditions."""
    alone_bytes: Counter[str] = field(default_factory=Counter)
    """What each strategy would have stored instead."""
    known_for: Counter[str] = field(default_factory=Counter)
    """For how many renditions it is known."""
    lower_bounds: set[str] = field(default_factory=set)
    """Strategies of which it is not all known: they would have stored as much or more."""

    def add(self, winner: str, nbytes: int, rivals: Iterable[Rival]) -> None:
        """Count a rendition."""
        costs = tuple(rivals)
        if not costs:
            return
        self.won[winner] += 1
        self.renditions += 1
        self.stored_bytes += nbytes
        for rival in costs:
            self.alone_bytes[rival.strategy] += rival.nbytes
            self.known_for[rival.strategy] += 1
            if rival.at_least:
                self.lower_bounds.add(rival.strategy)

    def add_row(self, row: CatalogRow) -> None:
        """Count a row of the catalog, if there is anything to count."""
        if row.state == "archived" and row.strategies_json and row.metadata_json:
            winner = RestorationMetadata.from_json(row.metadata_json).strategy
            self.add(winner, row.lr_bytes or 0, from_json(row.strategies_json))

    def report(self) -> list[dict[str, Any]]:
        """A record for each strategy that was tried for all of them, the cheapest alone first."""
        return [
            {
                "strategy": name,
                "won": self.won[name],
                "alone_bytes": nbytes,
                "saved_bytes": nbytes - self.stored_bytes,
                "at_least": name in self.lower_bounds,
            }
            for name, nbytes in sorted(self.alone_bytes.items(), key=lambda item: item[1])
            if self.known_for[name] == self.renditions
        ]
