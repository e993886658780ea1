"""What planning has seen, so that a commit need not look again: keys that some files do not hold.

A file of a Delta table is never changed, and another one never takes its name. So a key that a
version of the table has no row of is in none of the files of that version for good. It may be in
files that came later: a commit of this run or of another one, a compaction. The names of the files
are what is carried, not the number of the version, which a clean-up makes unreadable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tasks.catalog.parts import keys_within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasks.catalog.parts import Part


@dataclass(frozen=True, slots=True)
class Absent:
    """Keys of which some files hold no row, whatever else names it."""

    keys: frozenset[str]
    files: frozenset[str]
    """Relative to the table. All may be gone by now."""

    def places(
        self, parts: Iterable[Part], keys: Sequence[str]
    ) -> Iterator[tuple[Part, Sequence[str]]]:
        """The files that may hold a row of some sorted keys, each with those that it may hold."""
        unknown = [key for key in keys if key not in self.keys]
        for part in parts:
            within = keys_within(part, unknown if part.path in self.files else keys)
            if within:
                yield part, within


NOTHING_KNOWN: Final = Absent(frozenset(), frozenset())
"""Every file may hold every key."""
