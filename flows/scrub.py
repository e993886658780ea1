"""The scrub job: is what is stored still what was archived?"""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow

from tasks.catalog import Catalog
from tasks.cluster.workplace import Workplace, workplace
from tasks.collection.access import refuse_nested
from tasks.control import opening
from tasks.control.run import Run
from tasks.jobs.scrub import steps as scrubbing
from tasks.jobs.scrub.check import Request, check
from tasks.jobs.scrub.repair import NotRepaired, Repairer
from tasks.jobs.scrub.scope import Scope
from tasks.jobs.scrub.steps import BATCH
from tasks.jobs.scrub.tally import ScrubTally
from tasks.jobs.scrub.worker import Inspector
from tasks.renditions.inspection import Finding
from tasks.settings import Settings, using
from tasks.storage import open_store
from tasks.storage.addresses import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubSummary:
    """What a run looked at and found."""

    run_id: str | None
    """None where the catalog itself is damaged: nothing else is looked at then, nor written."""
    checked: int
    """Renditions read and compared with the catalog."""
    restored: int
    """Of these, chosen to be restored as well."""
    findings: tuple[Finding, ...]
    cold: tuple[Finding, ...]
    """Renditions that lie in a cold class of their store: not read, and not taken for damaged."""
    repaired: int
    not_repaired: tuple[NotRepaired, ...]
    """Damage that a repair was tried for and could not undo."""

    @property
    def damaged(self) -> int:
        """Renditions that are damaged still."""
        return len(self.findings) - self.repaired


@flow(name="scrub")
def scrub(
    archive: Address,
    sample: float = 0.01,
    parts: int = 1,
    repair_from: Address | None = None,
    settings: Settings | None = None,
) -> ScrubSummary:
    """Read LR objects again and compare them with the catalog; restore a sample of them.

    Args:
        archive: URL or path of the archive.
        sample: Fraction of the renditions read that are restored as well.
        parts: Read one of so many parts, the next one at every run.
        repair_from: URL or path of the collection, from which damaged renditions are made again
            where the source is unchanged. By default nothing but the table of runs is written.
        settings: Of the workers, in place of what the environment says.

    Raises:
        UsageError: No archive there, or a wrong fraction.
        StorageError: A store cannot be reached, or the catalog cannot be read.
    """
    request = Request(archive=archive, sample=sample, parts=parts, repair_from=repair_from)
    opening.check_request(check, request)
    scope = Scope(sample=sample, parts=parts)
    parameters = {"sample": sample, "parts": parts, "repair_from": repair_from}
    run = Run("scrub", ScrubTally(), parameters)
    if damaged := scrubbing.check_catalog_files(archive):
        run.add(ScrubTally(findings=tuple(damaged)), "catalog files")
        run.publish()
        return _summary(run.tally, None)
    catalog = opening.open_archive(archive)
    if repair_from is not None:
        refuse_nested(open_store(repair_from), catalog.store)
    total = sum(states.get("archived", 0) for states in catalog.counts().values())
    if total:
        run.add(scrubbing.check_networks(archive, catalog, repair=repair_from is not None))
        with using(settings), workplace(total) as place:
            _inspect(run, place, archive, catalog, scope, total)
            if run.tally.findings and repair_from is not None:
                _repair(run, place, archive, repair_from, catalog)
    run.record(catalog)
    run.publish()
    return _summary(run.tally, run.run_id)


def _inspect(
    run: Run[ScrubTally],
    place: Workplace,
    archive: str,
    catalog: Catalog,
    scope: Scope,
    total: int,
) -> None:
    checks = scrubbing.checks_of(catalog, scope, scrubbing.round_of(catalog))
    batches = -(-total // BATCH)
    with place.pool(Inspector, "inspect", (archive,), jobs=batches) as pool:
        for wave in run.waves(checks, cut=total, at_least=4 * BATCH):
            run.add(scrubbing.scrub_wave(wave, pool))


def _repair(
    run: Run[ScrubTally], place: Workplace, archive: str, source: str, catalog: Catalog
) -> None:
    rows = scrubbing.damaged_rows(catalog, run.tally.findings)
    told = (source, archive, run.run_id)
    with place.pool(Repairer, "repair", told, jobs=len(rows)) as pool:
        run.add(scrubbing.repair_rows(rows, pool, catalog), "repair")


def _summary(tally: ScrubTally, run_id: str | None) -> ScrubSummary:
    return ScrubSummary(
        run_id=run_id,
        checked=tally.checked,
        restored=tally.restored,
        findings=tally.findings,
        cold=tally.cold,
        repaired=tally.repaired,
        not_repaired=tally.not_repaired,
    )
