"""Which strategy won how often, and what was saved against each of them alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rescaling_core import limits
from rescaling_core.plan.rival import Rival
from tasks.catalog import Archived, CatalogRow


def to_json(rivals: Sequence[Rival]) -> str | None:
    """As the catalog holds it: bytes by strategy; `[bytes]` where it is that many or more."""
    if not rivals:
        return None
    costs = {one.strategy: [one.nbytes] if one.at_least else one.nbytes for one in rivals}
    return json.dumps(costs, separators=(",", ":"))


def from_json(text: str | None) -> tuple[Rival, ...]:
    """The other way."""
    costs: dict[str, int | list[int]] = limits.read_json(text or "{}")
    return tuple(
        Rival(name, cost[0], at_least=True) if isinstance(cost, list) else Rival(name, cost)
        for name, cost in costs.items()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyCost:
    """What one strategy won, and what it would have stored alone."""

    strategy: str
    won: int
    """How many renditions it made."""
    alone_bytes: int
    """What it would have stored if it had made them all."""
    saved_bytes: int
    """How much less than that was stored."""
    at_least: bool
    """Whether it would have stored that much or more: some of its searches were given up."""


@dataclass(slots=True)
class StrategyTally:
    """Adds up what strategies would have stored for one target."""

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

    def __add__(self, other: StrategyTally) -> StrategyTally:
        """Both together."""
        return StrategyTally(
            won=self.won + other.won,
            renditions=self.renditions + other.renditions,
            stored_bytes=self.stored_bytes + other.stored_bytes,
            alone_bytes=self.alone_bytes + other.alone_bytes,
            known_for=self.known_for + other.known_for,
            lower_bounds=self.lower_bounds | other.lower_bounds,
        )

    def report(self) -> list[StrategyCost]:
        """The cost of each strategy that was tried for all of them, the cheapest alone first."""
        return [
            StrategyCost(
                strategy=name,
                won=self.won[name],
                alone_bytes=nbytes,
                saved_bytes=nbytes - self.stored_bytes,
                at_least=name in self.lower_bounds,
            )
            for name, nbytes in sorted(self.alone_bytes.items(), key=lambda item: item[1])
            if self.known_for[name] == self.renditions
        ]


@dataclass(slots=True)
class StrategyTallies:
    """A tally for each target, from rows of the catalog.

    Rows that leave no account are passed over: of previews, which have no choice, and of a catalog
    that was rebuilt.
    """

    by_target: dict[str, StrategyTally] = field(default_factory=dict)

    def add(self, row: CatalogRow) -> None:
        """Count a row, if there is anything to count."""
        if isinstance(row, Archived) and row.strategies_json and row.metadata_json:
            rivals = from_json(row.strategies_json)
            self.count(row.target, row.recorded.strategy, row.lr_bytes, rivals)

    def count(self, target: str, winner: str, nbytes: int, rivals: Iterable[Rival]) -> None:
        """Count a rendition."""
        self.by_target.setdefault(target, StrategyTally()).add(winner, nbytes, rivals)

    def __add__(self, other: StrategyTallies) -> StrategyTallies:
        """Both together."""
        names = self.by_target.keys() | other.by_target.keys()
        of = (self.by_target, other.by_target)
        nothing = StrategyTally()
        return StrategyTallies(
            {name: of[0].get(name, nothing) + of[1].get(name, nothing) for name in sorted(names)}
        )

    def report(self) -> dict[str, list[StrategyCost]]:
        """By target; targets without a choice are left out."""
        reports = {name: tally.report() for name, tally in sorted(self.by_target.items())}
        return {name: report for name, report in reports.items() if len(report) > 1}

    def markdown(self) -> str:
        """A table for each target; empty if there was no choice."""
        parts = []
        for target, report in self.report().items():
            lines = [
                f"| strategy for {target} | chosen | bytes alone | saved against it |",
                "|---|---:|---:|---:|",
            ]
            for one in report:
                bound = "≥ " if one.at_least else ""
                lines.append(
                    f"| {one.strategy} | {one.won} | {bound}{one.alone_bytes} "
                    f"| {bound}{one.saved_bytes} |"
                )
            parts.append("\n".join(lines))
        return "\n\n".join(parts)
