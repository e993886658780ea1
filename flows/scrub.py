"""The scrub job: is what is stored still what was archived?"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from prefect import flow

from tasks.catalog import Catalog
from tasks.cluster.pool import worker_pool
from tasks.cluster.session import ray_session
from tasks.cluster.slots import worker_slots
from tasks.control import opening
from tasks.control.artifacts import publish
from tasks.control.record import Counts, JobRun, new_run_id, record_job
from tasks.jobs.scrub import steps as scrubbing
from tasks.jobs.scrub.repair import NotRepaired, Repaired, Repairer
from tasks.jobs.scrub.steps import Scope, ScrubTally
from tasks.jobs.scrub.worker import Inspector
from tasks.renditions.inspection import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubSummary:
    """What a run looked at and found."""

    run_id: str | None
    """None where the catalog itself is damaged: nothing else is looked at then, nor written."""
    checked: int
    """Renditions read and held against the catalog."""
    restored: int
    """Of these, chosen to be restored as well."""
    findings: tuple[Finding, ...]
    repaired: int
    not_repaired: tuple[NotRepaired, ...]
    """Damage that a repair was tried for and could not undo."""

    @property
    def damaged(self) -> int:
        """Renditions that are damaged still."""
        return len(self.findings) - self.repaired


@flow(name="scrub")
def scrub(
    archive: str, sample: float = 0.01, parts: int = 1, repair_from: str | None = None
) -> ScrubSummary:
    """Read LR objects again and hold them against the catalog; restore a sample of them.

    Args:
        archive: URL or path of the archive.
        sample: Fraction of the renditions read that are restored as well.
        parts: Read one of so many parts, the next one at every run.
        repair_from: URL or path of the collection, from which damaged renditions are made again
            where the source is unchanged. By default nothing but the table of runs is written.

    Raises:
        UsageError: No archive there, or a wrong fraction.
        StorageError: A store cannot be reached, or the catalog cannot be read.
    """
    scope = Scope(sample=sample, parts=parts)
    run_id = new_run_id()
    if damaged := scrubbing.check_catalog_files(archive):
        publish("scrub", run_id, {"damaged files": len(damaged)}, list(map(asdict, damaged)))
        return ScrubSummary(
            run_id=None,
            checked=0,
            restored=0,
            findings=tuple(damaged),
            repaired=0,
            not_repaired=(),
        )
    catalog = opening.open_existing(archive)
    parameters = {"sample": sample, "parts": parts, "repair_from": repair_from}
    run = JobRun(job="scrub", run_id=run_id, parameters=parameters)
    total = sum(states.get("archived", 0) for states in catalog.counts().values())
    tally = ScrubTally()
    outcomes: list[Repaired | NotRepaired] = []
    if total:
        with ray_session():
            _inspect(archive, catalog, scope, total, tally)
            if tally.findings and repair_from is not None:
                outcomes = _repair(archive, repair_from, catalog, run.run_id, tally)
    repaired = sum(isinstance(outcome, Repaired) for outcome in outcomes)
    record_job(
        catalog,
        run,
        Counts(
            listed=tally.checked,
            archived=repaired,
            quarantined=len(tally.findings),
            unchanged=tally.checked - len(tally.findings),
            stored_bytes=tally.nbytes,
        ),
    )
    publish(
        run.job,
        run_id,
        {
            "checked": tally.checked,
            "restored as well": tally.restored,
            "damaged": len(tally.findings),
            "repaired": repaired,
            "read bytes": tally.nbytes,
        },
        list(map(asdict, tally.findings)),
    )
    return ScrubSummary(
        run_id=run.run_id,
        checked=tally.checked,
        restored=tally.restored,
        findings=tuple(tally.findings),
        repaired=repaired,
        not_repaired=tuple(item for item in outcomes if isinstance(item, NotRepaired)),
    )


def _inspect(archive: str, catalog: Catalog, scope: Scope, total: int, tally: ScrubTally) -> None:
    checks = scrubbing.checks_of(catalog, scope, scrubbing.round_of(catalog))
    slots = worker_slots().at_most(-(-total // scrubbing.BATCH))
    with worker_pool(Inspector, "inspect", (archive,), slots) as pool:
        for number, wave in enumerate(scrubbing.waves_of(checks, total), 1):
            scrubbing.scrub_wave(number, wave, pool, tally)


def _repair(
    archive: str, source: str, catalog: Catalog, run_id: str, tally: ScrubTally
) -> list[Repaired | NotRepaired]:
    rows = scrubbing.damaged_rows(catalog, tally.findings)
    slots = worker_slots().at_most(len(rows))
    with worker_pool(Repairer, "repair", (source, archive, run_id), slots) as pool:
        return scrubbing.repair_rows(rows, pool, catalog)
