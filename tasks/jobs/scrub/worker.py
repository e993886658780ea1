"""Whether a stored rendition is what the catalog says it is. What a worker of `scrub` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain

from tasks.catalog import Archived
from tasks.cluster.watchdog import WATCHDOG, allowed_seconds
from tasks.control.outcomes import Failure, outcome_of
from tasks.models.loading import use_share_of_cpus
from tasks.renditions.files import neighbours, stored_neighbours
from tasks.renditions.inspection import (
    Finding,
    Problem,
    finding,
    inspect_read,
    inspect_stored,
)
from tasks.renditions.restoring import Renditions
from tasks.storage import ObjectColdError, open_store

READERS = 8
"""Requests to the store that a worker has under way at once."""


@dataclass(frozen=True, slots=True)
class Check:
    """A row of the catalog to compare with what is stored."""

    row: Archived
    restore: bool = False
    """Whether to restore it too, unless it is a preview."""


class Inspector:
    """Holds the archive and the networks for the life of a worker process."""

    def __init__(self, archive_url: str) -> None:
        self._archive = open_store(archive_url)
        self._renditions = Renditions(self._archive)
        use_share_of_cpus()

    def inspect(self, checks: Sequence[Check]) -> list[Finding]:
        """Check some renditions; give back those that are not as they should be.

        Raises:
            StorageError: The store failed, so that nothing is known of them.
        """
        groups = neighbours([check.row.place for check in checks])
        with ThreadPoolExecutor(max_workers=READERS) as pool:
            read = pool.map(self._stored_together, ([checks[i] for i in one] for one in groups))
            by_number = dict(zip(chain(*groups), chain.from_iterable(read), strict=True))
        found = [item for _, item in sorted(by_number.items()) if item is not None]
        damaged = {item.lr_key for item in found}
        for check in checks:
            if check.restore and check.row.lr_key not in damaged:
                found += filter(None, [self._restored(check.row)])
        return found

    def _stored_together(self, checks: Sequence[Check]) -> list[Finding | None]:
        """What was found of each of some that lie one behind the other in a pack, or of one."""
        pack, places = checks[0].row.pack_key, [check.row.place for check in checks]
        if pack is None or len(checks) == 1:
            return [self._stored(check) for check in checks]
        read = outcome_of(pack, partial(stored_neighbours, self._archive, pack, places))
        if isinstance(read, Failure):  # each by itself, then: it may be the fault of one
            return [self._stored(check) for check in checks]
        return [
            _tried(check.row, "metadata", partial(inspect_read, check.row, header, data))
            for check, (header, data) in zip(checks, read, strict=True)
        ]

    def _stored(self, check: Check) -> Finding | None:
        return _tried(check.row, "metadata", partial(inspect_stored, self._archive, check.row))

    def _restored(self, row: Archived) -> Finding | None:
        with WATCHDOG.watching(allowed_seconds(row.pixels)):
            return _tried(row, "restoration", partial(self._restore, row))

    def _restore(self, row: Archived) -> None:
        """Restore a rendition; restoring compares with the recorded fingerprint."""
        stored = self._renditions.read(row)
        if stored.recorded.is_preview:
            return  # a preview
        if stored.source_file() is None:
            stored.photo()


def _tried(row: Archived, problem: Problem, look: Callable[[], Finding | None]) -> Finding | None:
    """What was found about a rendition; what goes wrong with it while looking is found too."""
    found = outcome_of(row.lr_key or row.source_key, look)
    if not isinstance(found, Failure):
        return found
    is_cold = found.error_class == ObjectColdError.__name__
    return finding(row, "cold" if is_cold else problem, found.reason if is_cold else str(found))
