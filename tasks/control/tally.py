"""Counts that add up: those of a batch to those of a wave, those of a wave to those of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from tasks.control.record import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally(ABC):
    """What came of a part of a run. Every job has its own, whose fields are numbers and tuples.

    A step returns the tally of what it was given, and the run adds it to its own. A step that is
    tried again therefore returns the whole once more, and nothing is counted twice.
    """

    def __add__(self, other: Self) -> Self:
        """Add field by field."""
        added = {
            one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)
        }
        return type(self)(**added)

    @property
    @abstractmethod
    def done(self) -> int:
        """Sources, or renditions, that are accounted for."""

    @property
    def nbytes(self) -> int:
        """Bytes to show beside the progress."""
        return 0

    @property
    def troubles(self) -> Sequence[Any]:
        """What somebody has to look at: dataclasses that name an object and a reason."""
        return ()

    @property
    @abstractmethod
    def counts(self) -> Counts:
        """The same in the words of the table of runs."""

    def words(self) -> dict[str, int]:
        """Every count by its name; of a tuple, its length."""
        found: dict[str, int] = {}
        for one in fields(self):
            value, name = getattr(self, one.name), one.name.replace("_", " ")
            if isinstance(value, Counter):
                found |= {f"{name}: {key}": number for key, number in value.items()}
            elif isinstance(value, int | tuple):
                found[name] = value if isinstance(value, int) else len(value)
        return found
