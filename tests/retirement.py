"""Runs of `retire` over small archives, made in this process: no Ray, no Prefect server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rescaling_core.plan import Floor
from tasks.catalog.history import floors_of
from tasks.catalog.journal import Journal
from tasks.collection.listing import EVERYTHING
from tasks.control.run import Run
from tasks.jobs.retire import actions, steps
from tasks.jobs.retire.actions import Site
from tasks.jobs.retire.decisions import Terms
from tasks.jobs.retire.tally import RetireTally
from tasks.jobs.retire.worker import Verifier
from tests.small_archive import HerePool, SmallArchive

WEEK = timedelta(days=7)


def site_of(
    made: SmallArchive,
    *,
    grace: timedelta = WEEK,
    age: timedelta = timedelta(0),
    floor: Floor | None = None,
    dry_run: bool = False,
    run_id: str = "retire",
    to_class: str | None = None,
) -> Site:
    """Where a run works, and on what terms; see `Site`."""
    now = datetime.now(UTC)
    return Site(
        source=made.source,
        archive=made.archive,
        catalog=made.catalog,
        journal=Journal(made.archive),
        collection=made.source.place.name,
        terms=Terms(archived_before=now - age, marked_before=now - grace, to_class=to_class),
        floors=floors_of(made.catalog.runs()),
        floor=floor or Floor(),
        run_id=run_id,
        dry_run=dry_run,
    )


def retire_once(made: SmallArchive, **asked: Any) -> RetireTally:
    """A whole run, in this process. Without a grace period, marks of earlier runs count."""
    site = site_of(made, **asked)
    chunks = steps.chunks_of(steps.list_completely.fn(site.source, EVERYTHING))
    actions.settle(site)
    pool = HerePool(Verifier(made.source_url, made.archive_url).verify)
    listed = sum(chunk.num_rows for chunk in chunks)
    run = Run("retire", RetireTally(), {})
    for wave in run.waves(chunks, cut=len(chunks), at_least=2, total=listed):
        run.add(steps.retire_wave.fn(wave, site, pool))
    assert run.tally.done == listed
    return run.tally
