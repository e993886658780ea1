"""The steps of a backfill run, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from prefect import task

from rescaling_core.plan import ArchivePlan
from tasks.catalog import LIGHT, Catalog
from tasks.catalog.history import History, histories
from tasks.cluster.workers import Lost, Workers
from tasks.control.committing import in_groups
from tasks.control.retries import RETRIED
from tasks.control.run import Wave, batches_of, one_by_one, results_of
from tasks.jobs.backfill.tally import BackfillTally
from tasks.jobs.backfill.worker import Filled, Gap, NotFilled

BATCH = 32
"""Sources a worker is given at once, committed together."""


@task(name="count gaps", **RETRIED)
def count_gaps(catalog: Catalog, plan: ArchivePlan) -> int:
    """How many archived sources lack a target of `plan`."""
    return sum(1 for _ in gaps_of(catalog, plan, columns=LIGHT))


def gaps_of(catalog: Catalog, plan: ArchivePlan, *, columns: Sequence[str] = ()) -> Iterator[Gap]:
    """The archived sources that lack a target of `plan`, some thousand at a time in memory.

    Args:
        catalog: The archive's.
        plan: Names the targets.
        columns: Of the catalog, by default all.
    """
    for history in histories(catalog.rows(columns=columns)):
        gap = gap_of(history, plan.target_names)
        if gap is not None:
            yield gap


def gap_of(history: History, targets: Sequence[str]) -> Gap | None:
    """What one source lacks of the version of it that was seen last; None if nothing."""
    present = {row.target for row in history.current}
    missing = tuple(name for name in targets if name not in present)
    if not history.archived or not missing:
        return None
    return Gap(history.archived[0], missing, history.best)


@task(name="backfill wave", task_run_name="backfill wave {wave.number}", **RETRIED)
def backfill_wave(
    wave: Wave[Gap], pool: Workers[Sequence[Gap], Filled], catalog: Catalog, run_id: str
) -> BackfillTally:
    """Fill one wave of gaps, committing batches as they come back.

    What a first try of the wave committed is in the catalog: it is counted and not done again.
    """
    span = (wave.items[0].row.source_key, wave.items[-1].row.source_key)
    committed = catalog.written_by(run_id, between=span)
    finished = {row.source_key for row in committed}
    left = [gap for gap in wave.items if gap.row.source_key not in finished]
    tally = BackfillTally.of(committed)
    results = (
        _not_filled(result) if isinstance(result, Lost) else result
        for result in results_of(pool, batches_of(left, BATCH), one_by_one)
    )
    for filled in in_groups(results, partial(_commit, catalog), rows=lambda one: len(one.rows)):
        tally += BackfillTally.of(filled.rows, filled.failures)
        wave.report("convert", tally.done)
    return tally


def _commit(catalog: Catalog, results: Sequence[Filled]) -> None:
    catalog.commit_shards([(filled.shard_id, filled.rows) for filled in results])


def _not_filled(lost: Lost) -> Filled:
    """What became of a source that killed every worker it was given to."""
    (gap,) = lost.job
    key = gap.row.source_key
    failure = NotFilled(key, gap.targets, lost.reason)
    return Filled(sources=(key,), shard_id="", rows=(), failures=(failure,))
