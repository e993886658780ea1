"""What an archive run would have to do. Nothing is started for it, and nothing written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rescaling_core.plan import ArchivePlan
from tasks.catalog import Catalog, State
from tasks.catalog.difference import Doubtful, marked
from tasks.collection.access import refuse_nested, require_collection, sources_of
from tasks.collection.emptied import refuse_emptied
from tasks.collection.listing import Selection
from tasks.control import progress
from tasks.control.progress import Progress
from tasks.control.record import JobRun, new_run_id, write_run
from tasks.jobs.archive.check import Request
from tasks.jobs.archive.confirming import unchanged_of
from tasks.jobs.archive.tally import ArchiveTally, Pending
from tasks.plans.options import build_plan
from tasks.renditions import circumstances
from tasks.storage import Store, open_store


def pending_of(
    source: Store,
    catalog: Catalog,
    plan: ArchivePlan,
    selection: Selection,
    moved: Callable[[Sequence[Doubtful]], object],
) -> Pending:
    """List a collection and keep what the catalog does not have for the targets of a plan.

    Sources that may be unchanged though their file is another one are read and compared.

    Args:
        source: The collection.
        catalog: Of the archive, which is not entered should it lie in the collection.
        plan: Names the targets.
        selection: Which sources.
        moved: Is told of the sources that are unchanged, but lie elsewhere than the catalog says.

    Raises:
        StorageError: A store failed.
    """
    retry: tuple[State, ...] = ("quarantined",) if selection.retry_quarantined else ()
    listed = 0
    pending: list[pa.RecordBatch] = []
    known, here = catalog.exists(), circumstances.of_run(plan)
    files = catalog.files if known else frozenset()
    for batch in sources_of(source, selection, avoid=(catalog.store.place,)):
        listed += batch.num_rows
        progress.report(Progress(step="scan", done=listed, total=None))
        if not known:
            pending.append(marked(batch, new=True))
            continue
        found = catalog.difference(
            batch,
            plan.target_names,
            retry=retry,
            circumstances=here,
            verify=selection.verify_sources,
        )
        unchanged = unchanged_of(source, found.doubtful)
        if unchanged:
            moved(unchanged)
        changed = {one.key for one in found.doubtful} - {one.key for one in unchanged}
        pending.append(_with(found.pending, batch, changed))
    return Pending(batches=tuple(pending), listed=listed, files=files)


def _with(pending: pa.RecordBatch, batch: pa.RecordBatch, keys: set[str]) -> pa.RecordBatch:
    """What is pending, and these changed sources of the batch as well, in the order of keys."""
    if not keys:
        return pending
    changed = batch.filter(pc.is_in(batch.column("key"), pa.array(sorted(keys))))
    both = pa.Table.from_batches([pending, marked(changed, new=False)])
    (found,) = both.sort_by("key").combine_chunks().to_batches()
    return found


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found to do, before anything was started."""

    request: Request
    plan: ArchivePlan
    catalog: Catalog
    pending: Pending
    since: float
    """When the look began, by `time.monotonic`."""
    settled: bool
    """Whether the catalog has nothing to be told of, whatever is pending."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether the run is over with this look."""
        return self.settled and not self.pending.count and self.catalog.exists()


def look(request: Request, *, allow_empty: bool = False) -> Looked:
    """Look at a collection and its archive as an archive run does.

    Args:
        request: What was asked for.
        allow_empty: Take it that nothing is listed, though the archive holds sources.

    Raises:
        EmptiedSourceError: Nothing is listed, though the archive holds sources.
        UsageError: A wrong URL or plan, or a source that does not exist.
        StorageError: A store failed.
    """
    since = time.monotonic()
    selection, plan = request.selection, build_plan(request.options)
    source = open_store(request.source, follow_links=selection.follow_links)
    archive = open_store(request.archive)
    refuse_nested(source, archive)
    require_collection(source, archive)
    catalog = Catalog(archive)
    moved: list[Doubtful] = []
    pending = pending_of(source, catalog, plan, selection, moved.extend)
    if not (pending.listed or allow_empty):
        refuse_emptied(source, catalog, selection)
    return Looked(request, plan, catalog, pending, since, settled=not moved)


def record_idle(looked: Looked) -> tuple[str, ArchiveTally]:
    """Leave the row of a run that found nothing to do in the table of runs.

    Returns:
        The run's id, and what it counted.

    Raises:
        StorageError: The store failed.
    """
    pending, request = looked.pending, looked.request
    tally = ArchiveTally(listed=pending.listed, unchanged=pending.unchanged)
    asked: dict[str, Any] = {
        "source": request.source,
        "selection": asdict(request.selection),
        "plan": asdict(looked.plan),
    }
    run = JobRun(job="archive", run_id=new_run_id(), parameters=asked)
    write_run(looked.catalog, run, tally.counts)
    return run.run_id, tally


_looked: ContextVar[Looked | None] = ContextVar("refold_looked", default=None)


@contextmanager
def handing_over(looked: Looked | None) -> Iterator[None]:
    """Let the flow that is run inside go on from a look, and not list the collection again."""
    token = _looked.set(looked)
    try:
        yield
    finally:
        _looked.reset(token)


def found_already(request: Request) -> Pending | None:
    """What a look at the same request has just found; None if there was none."""
    looked = _looked.get()
    if looked is None or looked.request != request or not looked.settled:
        return None
    return looked.pending
