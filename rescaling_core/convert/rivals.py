"""What every strategy of a plan would have stored, as far as the search has shown it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rescaling_core.plan.rival import Rival

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rescaling_core.plan import Candidate


@dataclass(frozen=True, slots=True)
class Cost:
    """What a candidate takes."""

    nbytes: int | None
    """Of its smallest file that reaches the floor; None if none does."""
    at_least: bool = False
    """It was given up when it could not win any more, or when a fast try said that it would not:
    supposing that files grow with quality, it would take so many bytes or more."""

    @property
    def is_known(self) -> bool:
        """Whether a file of so many bytes was made that reaches the floor."""
        return self.nbytes is not None and not self.at_least


NOTHING: Final = Cost(None)


@dataclass(slots=True)
class Rivals:
    """Collects the costs of candidates, by strategy."""

    source_bytes: int
    strategies: Sequence[str]
    """In the plan's order."""
    _best: dict[str, Rival] = field(default_factory=dict)

    @classmethod
    def of(cls, candidates: Sequence[Candidate], source_bytes: int) -> Rivals:
        """Those of a plan; what is behind a restorer or a filter counts without it as well."""
        names = [form.strategy for one in candidates for form in (one, *one.simpler)]
        return cls(source_bytes, names)

    def add(self, strategy: str, cost: Cost) -> None:
        """Take a candidate into account."""
        if cost.nbytes is None or cost.nbytes >= self.source_bytes:
            rival = Rival(strategy, self.source_bytes)
        else:
            rival = Rival(strategy, cost.nbytes, cost.at_least)
        best = self._best.get(strategy)
        if best is None or rival.nbytes < best.nbytes:
            self._best[strategy] = rival

    def all(self) -> tuple[Rival, ...]:
        """One for each strategy, in the plan's order."""
        names = dict.fromkeys(self.strategies)
        return tuple(self._best[name] for name in names if name in self._best)
