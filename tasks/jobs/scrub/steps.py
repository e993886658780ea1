"""The steps of a scrub run, as Prefect tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from prefect import task

from tasks.catalog import Archived, Catalog
from tasks.catalog.digests import damaged_files
from tasks.catalog.query import any_of
from tasks.cluster.workers import Lost, Workers
from tasks.control.retries import RETRIED
from tasks.control.run import Wave, batches_of, one_by_one, results_of
from tasks.jobs.scrub.repair import NotRepaired, Repaired
from tasks.jobs.scrub.scope import Scope
from tasks.jobs.scrub.tally import ScrubTally
from tasks.jobs.scrub.worker import Check
from tasks.models.archived import put_back
from tasks.renditions.inspection import Finding, finding
from tasks.renditions.networks import findings_about, named_networks
from tasks.storage import open_store

BATCH = 32
"""Renditions a worker is given at once."""


@task(name="check catalog files", **RETRIED)
def check_catalog_files(archive_url: str) -> list[Finding]:
    """The files of the catalog and of the journal that are not what was written.

    Raises:
        StorageError: The store failed.
    """
    return [
        Finding(source_key="", target="", lr_key=key, problem="catalog", reason=reason)
        for key, reason in sorted(damaged_files(open_store(archive_url)).items())
    ]


@task(name="check networks", **RETRIED)
def check_networks(archive_url: str, catalog: Catalog, *, repair: bool) -> ScrubTally:
    """Check the networks that rows name; a repair puts back those that can be found elsewhere.

    Raises:
        StorageError: The store failed.
    """
    archive, named = open_store(archive_url), named_networks(catalog)
    found = ScrubTally.found(findings_about(archive, named))
    if not (found.findings and repair):
        return found
    return found + ScrubTally(repaired=len(put_back(archive, named)))


def round_of(catalog: Catalog) -> int:
    """How many scrub runs there were: every run reads the next part and draws another sample."""
    return sum(run.job == "scrub" for run in catalog.runs())


def checks_of(catalog: Catalog, scope: Scope, turn: int) -> Iterator[Check]:
    """The archived renditions of a turn's part, some marked to be restored."""
    for row in catalog.archived():
        if _share(row.lr_key, "part") * scope.parts // 1 == turn % scope.parts:
            yield Check(row, restore=_share(row.lr_key, f"sample {turn}") < scope.sample)


def _share(lr_key: str, salt: str) -> float:
    """A number from 0 up to 1 that a key and a purpose always give."""
    digest = hashlib.sha256(f"{salt}\n{lr_key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6]) / 2**48


@task(name="scrub wave", task_run_name="scrub wave {wave.number}", **RETRIED)
def scrub_wave(wave: Wave[Check], pool: Workers[Sequence[Check], list[Finding]]) -> ScrubTally:
    """Check one wave; a worker that dies is a finding about the one it was given."""
    found: list[Finding] = []
    for result in results_of(pool, batches_of(wave.items, BATCH), one_by_one):
        if isinstance(result, Lost):
            found.append(finding(result.job[0].row, "restoration", result.reason))
        else:
            found += result
    checked = ScrubTally.found(found) + ScrubTally(
        checked=len(wave.items),
        restored=sum(check.restore for check in wave.items),
        read_bytes=sum(check.row.lr_bytes for check in wave.items),
    )
    wave.report("check", checked.done, checked.nbytes)
    return checked


@task(name="select damaged", **RETRIED)
def damaged_rows(catalog: Catalog, findings: Sequence[Finding]) -> list[Archived]:
    """The rows that findings are about."""
    if not findings:
        return []
    where = any_of("lr_key", sorted({item.lr_key for item in findings}))
    return list(catalog.archived(where))


@task(name="repair", **RETRIED)
def repair_rows(
    rows: Sequence[Archived],
    pool: Workers[Archived, Repaired | NotRepaired],
    catalog: Catalog,
) -> ScrubTally:
    """Make damaged renditions again and commit each as it comes back."""
    repaired, failures = 0, []
    for result in pool.run(rows):
        if isinstance(result, Lost):
            row: Archived = result.job
            failures.append(NotRepaired(row.source_key, row.target, row.lr_key, result.reason))
        elif isinstance(result, Repaired):
            commit_repair(catalog, result)
            repaired += 1
        else:
            failures.append(result)
    return ScrubTally(repaired=repaired, not_repaired=tuple(failures))


def commit_repair(catalog: Catalog, repaired: Repaired) -> None:
    """Put the new row in the damaged one's place, unless another run was faster."""
    catalog.commit_shard(
        repaired.row.shard_id, [repaired.row], instead_of=[repaired.damaged_lr_key]
    )
