"""The history of one source: which of its rows are current, and what it is best restored from.

This is the one place that decides it; restore, backfill, plan, retire and `show` ask here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from rescaling_core.errors import MetadataError
from rescaling_core.plan import Floor, Target
from tasks.catalog.rows import Archived, CatalogRow, State
from tasks.storage.versions import same_version

if TYPE_CHECKING:
    from tasks.catalog.schema import RunRecord
    from tasks.catalog.table import Catalog

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class History:
    """All rows of one source: one for each target, not all of them of the same version of it.

    A row is replaced only when its own target is made again. Where x2 was archived, then the source
    changed, and only x4 was archived after that, the row of x2 is still of the earlier version.
    """

    rows: tuple[CatalogRow, ...]
    """At least one; all with the same source key."""

    @classmethod
    def of(cls, rows: Iterable[CatalogRow]) -> History:
        """The history that some rows of one source make."""
        history = cls(tuple(rows))
        if not history.rows:
            raise ValueError("a history has at least one row")
        return history

    @property
    def key(self) -> str:
        """The source key."""
        return self.rows[0].source_key

    @property
    def latest(self) -> CatalogRow:
        """The row committed last: it tells of the version of the source that was seen last."""
        return max(self.rows, key=lambda row: row.committed_at or _NEVER)

    @property
    def current(self) -> tuple[CatalogRow, ...]:
        """The rows of the version of the source that was seen last."""
        latest = self.latest
        return tuple(row for row in self.rows if _same_source(row, latest))

    @property
    def earlier(self) -> tuple[CatalogRow, ...]:
        """The rows of earlier versions of the source."""
        latest = self.latest
        return tuple(row for row in self.rows if not _same_source(row, latest))

    @property
    def archived(self) -> tuple[Archived, ...]:
        """The current rows that have an LR object, previews too."""
        return tuple(row for row in self.current if isinstance(row, Archived))

    @property
    def restorable(self) -> tuple[Archived, ...]:
        """The current rows that the source can be restored from."""
        return tuple(filter(can_be_restored, self.current))

    @property
    def relied_on(self) -> tuple[Archived, ...]:
        """The restorable rows that were made from the source itself.

        A retired source rests on these: each is restored and compared before the source goes.
        """
        return tuple(row for row in self.restorable if row.origin != "restored image")

    @property
    def best(self) -> Archived | None:
        """The row that the source is best restored from; None if there is none."""
        return max(self.restorable, key=restoration_rank, default=None)

    @property
    def state(self) -> State:
        """How the source ended, all targets together.

        One target in quarantine puts the source there; otherwise one archived target is enough.
        """
        states = {row.state for row in self.current}
        ranked: tuple[State, ...] = ("quarantined", "archived")
        return next((state for state in ranked if state in states), "kept")


def can_be_restored(row: CatalogRow) -> TypeGuard[Archived]:
    """Whether a row has an LR object that is not a preview: previews have no measures."""
    return isinstance(row, Archived) and row.psnr_y is not None


def restoration_rank(row: Archived) -> tuple[bool, float]:
    """How well a source is restored from a rendition, to compare with others of the source.

    What was made from a restored image was measured against that image, which does not tell how
    far the image was from the source: any rendition made from the source itself goes before it.
    """
    return row.origin != "restored image", row.psnr_y or 0.0


def rendition_of(
    history: History, targets: Collection[str], *, earlier: bool = False
) -> Archived | None:
    """The row that a source is best restored from, of some targets; None if there is none.

    Args:
        history: Of the source.
        targets: Names of the targets that may be chosen.
        earlier: Whether the newest restorable row of an earlier version of the source will do,
            where its last version has none of any target.
    """
    usable = [row for row in history.restorable if row.target in targets]
    if usable or history.restorable or not earlier:
        return max(usable, key=restoration_rank, default=None)
    older = History.of(history.earlier) if history.earlier else None
    return None if older is None else rendition_of(older, targets, earlier=True)


def histories(rows: Iterable[CatalogRow]) -> Iterator[History]:
    """The histories of sources, one by one.

    Args:
        rows: Sorted by source key, as the catalog gives them, and all rows of each source: with a
            condition on rows, what is current could not be told.
    """
    for _, of_source in groupby(rows, key=lambda row: row.source_key):
        yield History.of(of_source)


def matching_histories(
    catalog: Catalog, where: str | None, *, keys: Sequence[str] = (), columns: Sequence[str] = ()
) -> Iterator[tuple[History, frozenset[str]]]:
    """Sources with their whole history, and the targets whose row fulfils a condition.

    Args:
        catalog: To read.
        where: SQL condition on rows; None for all.
        keys: Source keys or globs; empty for all.
        columns: To read of the whole rows; empty for all.

    Yields:
        Sources of which some row fulfils the condition, sorted by key.

    Raises:
        UsageError: The condition is wrong.
        StorageError: The table cannot be read.
    """
    found = histories(catalog.rows(keys=keys, columns=columns))
    if where is None:
        for one in found:
            yield one, frozenset(row.target for row in one.rows)
        return
    columns_of_matches = ("source_key", "target")
    matches = (
        row
        for batch in catalog.batches(where, keys=keys, columns=columns_of_matches)
        for row in batch.to_pylist()
    )
    # Both readings are sorted by key, so that one source of each is in memory at a time.
    history: History | None = next(found, None)
    for key, group in groupby(matches, key=lambda row: str(row["source_key"])):
        targets = frozenset(str(row["target"]) for row in group)
        while history is not None and history.key < key:
            history = next(found, None)
        if history is not None and history.key == key:
            yield history, targets


def floors_of(runs: Iterable[RunRecord]) -> Mapping[tuple[str, str], Floor]:
    """The floor that runs had for their targets, by run id and target.

    Runs that recorded no plan (backfill, scrub) or no row at all (killed ones) have none here; what
    they archived is then compared with what was measured when it was archived.
    """
    floors: dict[tuple[str, str], Floor] = {}
    for run in runs:
        plan: dict[str, Any] = run.parameters.get("plan") or {}
        try:
            for target in plan.get("targets", ()):
                # The margin was for another device's rounding, which is what is measured now.
                floor = Floor(**target["floor"]).without_margins()
                floors[run.run_id, Target(**target["target"]).name] = floor
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise MetadataError(f"catalog: plan of run {run.run_id}: {error}") from error
    return floors


def _same_source(one: CatalogRow, other: CatalogRow) -> bool:
    """Whether two rows of a key are of the same bytes, or of the same mark where bytes are unknown.

    A file that was only moved to another disk has another mark and the same bytes.
    """
    if one.source_sha256 and other.source_sha256:
        return one.source_sha256 == other.source_sha256
    return same_version(one.source_etag, other.source_etag)
