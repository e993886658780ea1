"""Which renditions a scrub looks at."""

from __future__ import annotations

from dataclasses import dataclass

from rescaling_core.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which renditions a run looks at."""

    sample: float = 0.01
    """Fraction of those read that are restored as well."""
    parts: int = 1
    """The archive is read in so many runs, a part each."""

    def __post_init__(self) -> None:
        if not 0 <= self.sample <= 1:
            raise UsageError(f"--sample {self.sample:g}: a fraction from 0 to 1")
        if self.parts < 1:
            raise UsageError(f"--parts {self.parts}: at least 1")
