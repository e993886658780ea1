"""What becomes of a source that could not be read or converted: the rows that say so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rescaling_core.errors import ImageTooLargeError
from rescaling_core.plan import ArchivePlan
from tasks.catalog import CatalogRow, Quarantined
from tasks.catalog.replacing import THAWED
from tasks.collection.shards import Shard
from tasks.control.outcomes import Failure
from tasks.renditions import circumstances
from tasks.renditions.rows import RowWriter
from tasks.storage import ObjectColdError

NOT_A_SOURCE: Final = frozenset({"LinkLeadsOut", "LinkBroken", "NotAFile", "ArchiveInside"})
"""Kinds of trouble that are no fault: what has them stays as it is, with the reason."""


def refused_rows(failure: Failure, record: RowWriter, plan: ArchivePlan) -> Sequence[CatalogRow]:
    """The rows of a source that failed, one for each target."""
    kind = failure.error_class
    if kind in NOT_A_SOURCE:
        return [record.kept(name, failure.reason) for name in record.targets]
    if kind == ObjectColdError.__name__:
        return [record.kept(name, failure.reason, depends_on=THAWED) for name in record.targets]
    # What is too large is tried again under a plan that allows more.
    depends_on = circumstances.limit(plan) if kind == ImageTooLargeError.__name__ else None
    return record.quarantined(failure.reason, kind, depends_on=depends_on)


def killer_rows(
    single: Shard, shard: Shard, reason: str, run_id: str, plan: ArchivePlan
) -> list[Quarantined]:
    """The rows of a source that killed every worker it was given to.

    Args:
        single: Holds that source alone.
        shard: The one that it belongs to.
        reason: What the workers died of.
        run_id: Of the run.
        plan: Names the targets.
    """
    (source,) = single.sources
    record = RowWriter(run_id, shard.shard_id, source, plan.target_names, None)
    return record.quarantined(reason, "WorkerDied")
