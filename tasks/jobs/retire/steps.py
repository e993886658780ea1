"""The steps of a retire run, as Prefect tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.catalog import Catalog, open_catalog
from tasks.catalog.journal import Entry
from tasks.cluster.workers import Lost, Workers
from tasks.collection import listing as inventory
from tasks.collection.access import refuse_nested, require_collection
from tasks.collection.listing import Selection
from tasks.collection.shards import SourceObject
from tasks.control import progress
from tasks.control.progress import Progress
from tasks.control.retries import RETRIED
from tasks.control.run import Wave
from tasks.jobs.retire import actions
from tasks.jobs.retire.actions import Site
from tasks.jobs.retire.decisions import (
    MayGo,
    Stays,
    Terms,
    Verdict,
    Waits,
    judge,
    last_moves,
    standing_marks,
)
from tasks.jobs.retire.tally import RetireTally
from tasks.jobs.retire.worker import Claim, Proven, Unproven
from tasks.storage import Store, open_store
from tasks.storage.probe import prove_conditional_writes

CHUNK: Final = 256
"""Sources that are decided on, proven and accounted for together."""


@task(name="open source and archive", **RETRIED)
def open_both(source_url: str, archive_url: str, *, dry_run: bool) -> tuple[Store, Store, Catalog]:
    """Open what is deleted from and what is relied on.

    Raises:
        UsageError: A wrong URL, no archive there, one inside the other.
        StorageError: The archive's store lets two writers win.
    """
    source, archive = open_store(source_url), open_store(archive_url)
    refuse_nested(source, archive)
    catalog = open_catalog(archive, create=False)
    require_collection(source, archive)
    if not dry_run:
        prove_conditional_writes(archive)
    return source, archive, catalog


@task(name="list the whole collection", **RETRIED)
def list_completely(
    source: Store, selection: Selection, archive: Store | None = None
) -> list[pa.RecordBatch]:
    """List every source before anything is decided: a listing that fails ends the run.

    Links are never followed here, and the archive is not entered by whatever way.

    Raises:
        StorageError: It could not be completed.
    """
    found: list[pa.RecordBatch] = []
    done = 0
    avoid = () if archive is None else (archive.place,)
    for batch in inventory.scan(
        source, include=selection.include, exclude=selection.exclude, avoid=avoid
    ):
        found.append(batch)
        done += batch.num_rows
        progress.report(Progress(step="scan", done=done, total=None))
    return found


def chunks_of(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Cut a listing into pieces of `CHUNK` sources; nothing is copied."""
    return [
        batch.slice(start, CHUNK) for batch in batches for start in range(0, batch.num_rows, CHUNK)
    ]


@task(name="settle accounts", **RETRIED)
def settle_accounts(site: Site) -> int:
    """See `actions.settle`."""
    return actions.settle(site)


@task(name="retire wave", task_run_name="retire wave {wave.number}", cache_policy=NO_CACHE)
def retire_wave(
    wave: Wave[pa.RecordBatch], site: Site, pool: Workers[Claim, Proven | Unproven]
) -> RetireTally:
    """Decide on sources, prove those that may go, mark them or let them go, and account for it."""
    tally = RetireTally()
    for chunk in wave.items:
        tally += _retire_chunk([SourceObject(**values) for values in chunk.to_pylist()], site, pool)
        wave.report("retire", tally.done, tally.nbytes)
    return tally


def _retire_chunk(
    listed: Sequence[SourceObject], site: Site, pool: Workers[Claim, Proven | Unproven]
) -> RetireTally:
    span = (listed[0].key, listed[-1].key)
    entries = list(site.journal.entries(site.collection, between=span))
    marks, moves = standing_marks(entries), last_moves(entries)
    waiting, stay = 0, Counter[str]()
    release: list[tuple[Entry, str]] = []
    may_go: dict[str, tuple[SourceObject, MayGo]] = {}
    for source, verdict in judged(listed, site.catalog, marks, site.terms, moves):
        if isinstance(verdict, MayGo):
            may_go[source.key] = (source, verdict)
        elif isinstance(verdict, Waits):
            waiting += 1
        elif isinstance(verdict, Stays):
            stay[verdict.ground] += 1
            if source.key in marks:
                release.append((marks[source.key], verdict.ground))
    unproven: list[Unproven] = []
    to_mark: list[Proven] = []
    to_go: list[Proven] = []
    for result in _prove([_claim(site, *pair) for pair in may_go.values()], pool):
        if isinstance(result, Unproven) and result.is_cold:
            stay[actions.COLD] += 1
            continue
        if isinstance(result, Unproven):
            unproven.append(result)
            if result.source_key in marks:
                release.append((marks[result.source_key], result.reason))
            continue
        _, verdict = may_go[result.source.key]
        (to_mark if verdict.mark is None else to_go).append(result)
    decided = RetireTally(waiting=waiting, stay=stay, unproven=tuple(unproven))
    decided += actions.release(site, release)
    decided += actions.mark(site, to_mark)
    return decided + actions.let_go(site, to_go)


def judged(
    listed: Sequence[SourceObject],
    catalog: Catalog,
    marks: Mapping[str, Entry],
    terms: Terms,
    moves: Mapping[str, Entry],
) -> Iterator[tuple[SourceObject, Verdict]]:
    """Decide on sources whose keys follow each other."""
    wanted = {source.key for source in listed}
    found = catalog.rows(between=(listed[0].key, listed[-1].key))
    rows = {
        key: list(of_source)
        for key, of_source in groupby(found, key=lambda row: row.source_key)
        if key in wanted
    }
    for source in listed:
        told = (rows.get(source.key, ()), marks.get(source.key), terms, moves.get(source.key))
        yield source, judge(source, *told)


def _claim(site: Site, source: SourceObject, verdict: MayGo) -> Claim:
    known = [(row.target, site.floors.get((row.run_id, row.target))) for row in verdict.rows]
    floors = tuple((target, floor) for target, floor in known if floor is not None)
    return Claim(source=source, rows=verdict.rows, floors=floors, floor=site.floor)


def _prove(
    claims: Sequence[Claim], pool: Workers[Claim, Proven | Unproven]
) -> Iterator[Proven | Unproven]:
    for result in pool.run(claims):
        if isinstance(result, Lost):
            yield Unproven(result.job.source.key, result.reason)
        else:
            yield result
