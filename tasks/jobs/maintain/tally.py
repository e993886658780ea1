"""What a maintenance run counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.control.record import Counts
from tasks.control.tally import Tally
from tasks.renditions.repacking import StaysInPack


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintainTally(Tally):
    """What was removed, or would be."""

    removed_objects: int = 0
    """LR objects and packs that no row names."""
    removed_bytes: int = 0
    """Total bytes of these."""
    locked: int = 0
    """LR objects that no row names and that a lock keeps, or that may not be deleted."""
    retained: int = 0
    """Objects in use whose retention was renewed."""
    unretained: int = 0
    """Objects in use whose retention could not be renewed."""
    rewritten_packs: int = 0
    """Packs whose files were put into others, since few were needed or the packs were small."""
    written_packs: int = 0
    """The packs they were put into."""
    moved_bytes: int = 0
    """Bytes that were put into other packs."""
    freed_bytes: int = 0
    """Bytes that are free once the packs they lay in are gone."""
    packs_left: int = 0
    """Packs that wait for a later run, since this one had enough to move."""
    damaged: tuple[StaysInPack, ...] = ()
    """LR files that stay in their old packs, since they are not what their rows say."""
    unfinished: int = 0
    """Half files and begun uploads of killed writers."""
    networks: int = 0
    """Networks that rows name and that were put into the archive, which lacked them."""
    files_before: int = 0
    """Files that the tables of the catalog were made of."""
    files_after: int = 0
    """Files that they are made of after compaction."""
    files_removed: int = 0
    """Files of replaced versions, and of commits that were given up."""

    @property
    def done(self) -> int:
        """LR objects removed."""
        return self.removed_objects

    @property
    def nbytes(self) -> int:
        """Total bytes of these."""
        return self.removed_bytes

    @property
    def troubles(self) -> Sequence[StaysInPack]:
        """What is damaged."""
        return self.damaged

    @property
    def counts(self) -> Counts:
        """As docs/operations.md says."""
        return Counts(listed=self.removed_objects, stored_bytes=self.removed_bytes)
