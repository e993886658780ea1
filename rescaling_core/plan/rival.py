"""What a strategy of a plan would have stored if it had been the only one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rival:
    """A strategy, and what would be stored if the plan held no other."""

    strategy: str
    nbytes: int
    """Of its rendition; of the source, which stays, if there would be none."""
    at_least: bool = False
    """True if the search stopped early, so that this is a lower bound."""
