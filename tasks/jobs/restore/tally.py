"""What a restore run counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.control.record import Counts
from tasks.control.tally import Tally
from tasks.jobs.restore.requests import NotRestored, Restored


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTally(Tally):
    """What became of sources asked for."""

    restored: tuple[Restored, ...] = ()
    refused: tuple[NotRestored, ...] = ()
    written_bytes: int = 0
    """Total bytes of the restored files."""

    @classmethod
    def of(cls, outcomes: Iterable[Restored | NotRestored]) -> RestoreTally:
        """Sort outcomes."""
        found = tuple(outcomes)
        restored = tuple(one for one in found if isinstance(one, Restored))
        return cls(
            restored=restored,
            refused=tuple(one for one in found if isinstance(one, NotRestored)),
            written_bytes=sum(one.nbytes for one in restored),
        )

    @property
    def done(self) -> int:
        """Sources."""
        return len(self.restored) + len(self.refused)

    @property
    def nbytes(self) -> int:
        """Bytes written."""
        return self.written_bytes

    @property
    def troubles(self) -> tuple[NotRestored, ...]:
        """What was refused."""
        return self.refused

    @property
    def counts(self) -> Counts:
        """Nothing: a restoration only reads the archive, so the table of runs has no row of it."""
        return Counts()
