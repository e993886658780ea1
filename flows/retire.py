"""The retire job: sources go once it is proven, twice, that they can be restored."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import pyarrow as pa
from prefect import flow

from rescaling_core.plan import Floor
from tasks.catalog.history import floors_of
from tasks.catalog.journal import Journal
from tasks.cluster.workplace import workplace
from tasks.collection.listing import EVERYTHING, Selection
from tasks.control.ages import parse_age, parse_grace
from tasks.control.opening import check_request
from tasks.control.run import Run
from tasks.jobs.retire import steps
from tasks.jobs.retire.actions import Site
from tasks.jobs.retire.check import Request, check
from tasks.jobs.retire.decisions import Terms
from tasks.jobs.retire.tally import RetireTally
from tasks.jobs.retire.worker import Unproven, Verifier
from tasks.settings import Settings, using
from tasks.storage.addresses import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireSummary:
    """What a run did, or would do. Every listed source counts once; they add up to `listed`."""

    run_id: str | None
    """None of a dry run, which leaves no trace."""
    listed: int
    deleted: int
    deleted_bytes: int
    moved: int
    """To another storage class, in place of being deleted."""
    moved_bytes: int
    marked: int
    """Proven now; to be deleted, or moved, by a run after the grace period."""
    waiting: int
    """Marked earlier, with the grace period not over."""
    stay: dict[str, int]
    """Those that may not go, by why."""
    unproven: tuple[Unproven, ...]
    """Those whose restoration is not what it should be."""
    released: int
    """Marks taken back, of sources that stay or are unproven."""
    settled: int
    """Deletions and moves of a run that was killed, found to have happened."""


@flow(name="retire")
def retire(
    source: Address,
    archive: Address,
    older_than: str = "30d",
    grace: str = "7d",
    floor: tuple[str, ...] = (),
    selection: Selection = EVERYTHING,
    dry_run: bool = True,
    to_class: str | None = None,
    settings: Settings | None = None,
) -> RetireSummary:
    """Delete sources that can be restored, in two runs: one marks, a later one deletes.

    Both restore every rendition from storage and compare it with the source.

    Args:
        source: URL or path of the collection, from which is deleted.
        archive: URL or path of the archive, which holds the journal.
        older_than: How long ago all renditions of a source must have been archived.
        grace: How long ago it must have been marked.
        floor: What the best restoration must reach besides, such as `psnr_y=40`.
        selection: Which sources; by default all.
        dry_run: Prove and count, but write and delete nothing.
        to_class: Move sources to this storage class of S3 in place of deleting them.
        settings: Of the workers, in place of what the environment says.

    Raises:
        UsageError: A wrong URL, age, floor or class; no archive there.
        StorageError: A store fails, or the collection cannot be listed completely. What was
            deleted until then is in the journal.
    """
    request = Request(
        source=source,
        archive=archive,
        older_than=older_than,
        grace=grace,
        floor=floor,
        selection=selection,
        to_class=to_class,
    )
    check_request(check, request)
    age, period, wanted = parse_age(older_than), parse_grace(grace), Floor.parse(floor)
    collection, store, catalog = steps.open_both(source, archive, dry_run=dry_run)
    parameters = {
        "source": source,
        "older_than": older_than,
        "grace": grace,
        "floor": list(floor),
        "selection": asdict(selection),
        "to_class": to_class,
    }
    run = Run("retire", RetireTally(), parameters)
    listing = steps.list_completely(collection, selection, store)
    now = datetime.now(UTC)
    site = Site(
        source=collection,
        archive=store,
        catalog=catalog,
        journal=Journal(store),
        collection=collection.place.name,
        terms=Terms(archived_before=now - age, marked_before=now - period, to_class=to_class),
        floors=floors_of(catalog.runs()),
        floor=wanted,
        run_id=run.run_id,
        dry_run=dry_run,
    )
    settled = steps.settle_accounts(site)
    if listing:
        with using(settings):
            _retire(run, source, archive, listing, site)
    if not dry_run:
        run.record(catalog)
        run.publish()
    tally = run.tally
    return RetireSummary(
        run_id=None if dry_run else run.run_id,
        listed=sum(batch.num_rows for batch in listing),
        deleted=tally.deleted,
        deleted_bytes=tally.deleted_bytes,
        moved=tally.moved,
        moved_bytes=tally.moved_bytes,
        marked=tally.marked,
        waiting=tally.waiting,
        stay=dict(tally.stay),
        unproven=tally.unproven,
        released=tally.released,
        settled=settled,
    )


def _retire(
    run: Run[RetireTally], source: str, archive: str, listing: list[pa.RecordBatch], site: Site
) -> None:
    chunks = steps.chunks_of(listing)
    listed = sum(chunk.num_rows for chunk in chunks)
    told = (source, archive)
    with workplace(listed) as place, place.pool(Verifier, "verify", told, jobs=listed) as pool:
        for wave in run.waves(chunks, cut=len(chunks), at_least=4, total=listed):
            run.add(steps.retire_wave(wave, site, pool))
