"""What a retire run does to sources; the journal is written before anything is deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from rescaling_core.plan import Floor
from tasks.catalog import Catalog
from tasks.catalog.journal import Entry, Event, Journal
from tasks.control.logs import Log, run_log
from tasks.jobs.retire.decisions import Terms
from tasks.jobs.retire.tally import RetireTally
from tasks.jobs.retire.worker import Proven, Unproven
from tasks.storage import NotPermittedError, ObjectNotFoundError, StorageError, Store

DELETERS: Final = 8
"""Deletions at once."""

NOT_PERMITTED: Final = "may not be deleted with these credentials"
"""Why a source stays though it may go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a run works, and on what terms."""

    source: Store
    archive: Store
    catalog: Catalog
    journal: Journal
    collection: str
    """As the journal names the source."""
    terms: Terms
    floors: Mapping[tuple[str, str], Floor]
    """Of earlier runs, by run id and target."""
    floor: Floor
    """Asked for besides."""
    run_id: str
    dry_run: bool
    told: list[str] = field(default_factory=list)
    """What the log was told already, and need not be told again."""


def release(site: Site, marks: Sequence[tuple[Entry, str]]) -> RetireTally:
    """Take marks back, each for a reason."""
    _write(site, "released", [replace(mark, reason=reason, proofs=()) for mark, reason in marks])
    return RetireTally(released=len(marks))


def mark(site: Site, proven: Sequence[Proven]) -> RetireTally:
    """Mark sources whose renditions were proven: their grace period begins."""
    _write(site, "marked", [_entry(site, item) for item in proven])
    return RetireTally(marked=len(proven))


def delete(site: Site, proven: Sequence[Proven]) -> RetireTally:
    """Delete sources whose renditions were proven once more.

    That they are about to be deleted is in the journal before the first one is. Each is looked at
    once more, and stays if it is not what was compared.

    Raises:
        StorageError: A deletion failed, other than for want of the right to delete. Those that
            succeeded are accounted for.
    """
    if site.dry_run:
        nbytes = sum(item.source.size for item in proven)
        return RetireTally(deleted=len(proven), deleted_bytes=nbytes)
    _write(site, "deleting", [_entry(site, item) for item in proven])
    log = run_log()
    with ThreadPoolExecutor(max_workers=DELETERS) as pool:
        outcomes = list(pool.map(lambda item: _delete_one(site.source, item, log), proven))
    gone = [item for item, outcome in zip(proven, outcomes, strict=True) if outcome is None]
    _write(site, "deleted", [_entry(site, item) for item in gone])
    stayed = tuple(outcome for outcome in outcomes if isinstance(outcome, Unproven))
    by_key = {item.source.key: _entry(site, item) for item in proven}
    released = release(site, [(by_key[item.source_key], item.reason) for item in stayed])
    refused = [outcome for outcome in outcomes if isinstance(outcome, NotPermittedError)]
    for outcome in outcomes:
        if isinstance(outcome, StorageError) and not isinstance(outcome, NotPermittedError):
            raise outcome
    if refused and not site.told:
        site.told.append(NOT_PERMITTED)
        log.warning("%s; such sources stay, and their marks stand", refused[0])
    nbytes = sum(item.source.size for item in gone)
    return released + RetireTally(
        deleted=len(gone),
        deleted_bytes=nbytes,
        unproven=stayed,
        stay=Counter({NOT_PERMITTED: len(refused)} if refused else {}),
    )


def settle(site: Site) -> int:
    """Write what became of deletions that a run had begun which was killed then.

    Returns:
        How many sources turned out to be gone.
    """
    begun = site.journal.unfinished(site.collection)
    gone = [entry for entry in begun if not site.source.exists(entry.source_key)]
    reason = "begun by a run that did not end; found gone"
    _write(site, "deleted", [replace(entry, reason=reason) for entry in gone])
    return len(gone)


def _delete_one(source: Store, item: Proven, log: Log) -> Unproven | StorageError | None:
    """None: it is gone, and was what was compared."""
    key = item.source.key
    try:
        info = source.info(key)
        if (info.etag, info.size) != (item.source.etag, item.source.size):
            return Unproven(key, "changed while it was compared")
        source.delete(key)
        if source.exists(key):
            return StorageError(f"{source.url}: {key} is there though its deletion was accepted")
        log.info(
            "deleted %s: %d bytes, restorable from %d LR objects", key, info.size, len(item.proofs)
        )
    except ObjectNotFoundError:
        return Unproven(key, "gone before it was to be deleted: somebody else did")
    except StorageError as error:
        return error
    return None


def _entry(site: Site, item: Proven) -> Entry:
    return Entry(
        event="marked",  # what it is and when, `_write` says
        at=datetime.now(UTC),
        run_id=site.run_id,
        collection=site.collection,
        source_key=item.source.key,
        source_etag=item.source.etag,
        source_size=item.source.size,
        source_sha256=item.sha256,
        proofs=item.proofs,
    )


def _write(site: Site, event: Event, entries: Sequence[Entry]) -> None:
    """Add entries in one commit, unless this is a dry run."""
    if site.dry_run or not entries:
        return
    now = datetime.now(UTC)
    site.journal.add([replace(entry, event=event, at=now, run_id=site.run_id) for entry in entries])
