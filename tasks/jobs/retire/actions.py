"""What a retire run does to sources; the journal is written before any of them goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from rescaling_core.plan import Floor
from tasks.catalog import Catalog
from tasks.catalog.difference import Doubtful
from tasks.catalog.journal import Entry, Event, Journal
from tasks.control.logs import Log, run_log
from tasks.jobs.retire.decisions import Terms
from tasks.jobs.retire.tally import RetireTally
from tasks.jobs.retire.worker import Proven, Unproven
from tasks.storage import (
    NotPermittedError,
    ObjectChangedError,
    ObjectInfo,
    ObjectLockedError,
    ObjectNotFoundError,
    StorageError,
    Store,
)
from tasks.storage.probe import HIDDEN

DELETERS: Final = 8
"""Deletions, or moves, at once."""

NOT_PERMITTED: Final = "may not be deleted with these credentials"
"""Why a source stays though it may go."""

NOT_MOVABLE: Final = "may not be moved with these credentials"
"""The same, where it was to be moved to another storage class."""

LOCKED: Final = "kept by a retention or a legal hold"
"""Why a source stays whose store would only hide it."""

COLD: Final = "in a cold class: nothing can be proven before it is thawed"
"""Why a source stays that somebody else moved."""


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

    def tell_once(self, what: str, message: str, *arguments: object) -> None:
        """Warn, unless this run has told `what` already."""
        if what not in self.told:
            self.told.append(what)
            run_log().warning(message, *arguments)


def release(site: Site, marks: Sequence[tuple[Entry, str]]) -> RetireTally:
    """Take marks back, each for a reason."""
    _write(site, "released", [replace(mark, reason=reason, proofs=()) for mark, reason in marks])
    return RetireTally(released=len(marks))


def mark(site: Site, proven: Sequence[Proven]) -> RetireTally:
    """Mark sources whose renditions were proven: their grace period begins."""
    _write(site, "marked", [_entry(site, item) for item in proven])
    return RetireTally(marked=len(proven))


def let_go(site: Site, proven: Sequence[Proven]) -> RetireTally:
    """Delete sources whose renditions were proven once more, or move them to another class.

    That this is about to happen is in the journal before the first one goes. Each is looked at
    once more, and stays if it is not what was compared.

    Raises:
        StorageError: It failed with one, other than for want of the right. Those that it succeeded
            with are accounted for.
    """
    if site.dry_run:
        return _would_go(site, proven)
    moves = site.terms.to_class is not None
    _write(site, "moving" if moves else "deleting", [_entry(site, item) for item in proven])
    log = run_log()
    with ThreadPoolExecutor(max_workers=DELETERS) as pool:
        outcomes = list(pool.map(lambda item: _let_one_go(site, item, log), proven))
    gone = [
        (item, outcome)
        for item, outcome in zip(proven, outcomes, strict=True)
        if isinstance(outcome, ObjectInfo | None)
    ]
    if moves:
        _note_marks(site, [(item, info) for item, info in gone if info is not None])
    entries = [_entry(site, item, info) for item, info in gone]
    _write(site, "moved" if moves else "deleted", entries)
    stayed = tuple(outcome for outcome in outcomes if isinstance(outcome, Unproven))
    by_key = {item.source.key: _entry(site, item) for item in proven}
    released = release(site, [(by_key[item.source_key], item.reason) for item in stayed])
    refused = [outcome for outcome in outcomes if isinstance(outcome, NotPermittedError)]
    stay = _stay(site, refused)
    for outcome in outcomes:
        if isinstance(outcome, StorageError) and not isinstance(outcome, NotPermittedError):
            raise outcome
    if site.source.keeps_versions:
        site.tell_once(HIDDEN, HIDDEN, site.source.url)
    return (
        released + _gone(site, [item for item, _ in gone]) + RetireTally(unproven=stayed, stay=stay)
    )


def _would_go(site: Site, proven: Sequence[Proven]) -> RetireTally:
    """What a dry run says of sources whose time has come."""
    with ThreadPoolExecutor(max_workers=DELETERS) as pool:
        locked = list(pool.map(lambda item: _lock_of(site.source, item), proven))
    stay = _stay(site, [error for error in locked if error is not None])
    gone = [item for item, error in zip(proven, locked, strict=True) if error is None]
    return _gone(site, gone) + RetireTally(stay=stay)


def _lock_of(source: Store, item: Proven) -> ObjectLockedError | None:
    try:
        source.refuse_locked(source.info(item.source.key))
    except ObjectLockedError as error:
        return error
    except ObjectNotFoundError:
        pass
    return None


def _stay(site: Site, refused: Sequence[NotPermittedError]) -> Counter[str]:
    """Count refusals by what they mean, and tell the first of each kind."""
    not_allowed = NOT_PERMITTED if site.terms.to_class is None else NOT_MOVABLE
    stay = Counter[str]()
    for error in refused:
        why = LOCKED if isinstance(error, ObjectLockedError) else not_allowed
        site.tell_once(why, "%s; such sources stay, and their marks stand", error)
        stay[why] += 1
    return stay


def settle(site: Site) -> int:
    """Write what became of deletions and moves that a run had begun which was killed then.

    Returns:
        How many sources turned out to be gone, or moved.
    """
    begun = site.journal.unfinished(site.collection)
    gone = [
        entry
        for entry in begun
        if entry.event == "deleting" and not site.source.exists(entry.source_key)
    ]
    moved = [
        replace(entry, source_etag=info.etag)
        for entry in begun
        if entry.event == "moving" and (info := _found_moved(site, entry)) is not None
    ]
    begun_by = "begun by a run that did not end; found"
    _write(site, "deleted", [replace(entry, reason=f"{begun_by} gone") for entry in gone])
    _write(site, "moved", [replace(entry, reason=f"{begun_by} moved") for entry in moved])
    return len(gone) + len(moved)


def _found_moved(site: Site, entry: Entry) -> ObjectInfo | None:
    """A source as it lies in the class that it was to be moved to; None if it does not.

    Its mark must be the one that was proven: where the store gave the copy another one, nothing
    tells that copy from another version, and it is left to be looked at as any other source.
    """
    try:
        info = site.source.info(entry.source_key)
        where = site.source.class_of(entry.source_key)
    except ObjectNotFoundError:
        return None
    is_same = (info.etag, info.size) == (entry.source_etag, entry.source_size)
    return info if is_same and where == entry.storage_class else None


def _let_one_go(site: Site, item: Proven, log: Log) -> Unproven | StorageError | ObjectInfo | None:
    """None: it is gone, and was what was compared. An ObjectInfo: as it lies in the other class."""
    key, source, wanted = item.source.key, site.source, site.terms.to_class
    told = f"{item.source.size} bytes, restorable from {len(item.proofs)} LR objects"
    try:
        info = source.info(key)
        if (info.etag, info.size) != (item.source.etag, item.source.size):
            return Unproven(key, "changed while it was compared")
        source.refuse_locked(info)  # to delete it would only hide it, and free no byte
        if wanted is not None:
            info = source.move_to_class(info, wanted)
            log.info("moved %s to %s: %s", key, wanted, told)
            return info
        source.delete(key)
        if source.exists(key):
            return StorageError(f"{source.url}: {key} is there though its deletion was accepted")
        log.info("deleted %s: %s", key, told)
    except ObjectNotFoundError:
        what = "deleted" if wanted is None else "moved"
        return Unproven(key, f"gone before it was to be {what}: somebody else did")
    except ObjectChangedError as error:
        return Unproven(key, str(error))
    except StorageError as error:
        return error
    return None


def _note_marks(site: Site, moved: Sequence[tuple[Proven, ObjectInfo]]) -> None:
    """Tell the catalog of copies under another mark, or they would be taken for new sources."""
    site.catalog.refresh_marks(
        [
            Doubtful(info.key, info.size, info.etag, item.sha256)
            for item, info in moved
            if info.etag != item.source.etag
        ]
    )


def _gone(site: Site, items: Sequence[Proven]) -> RetireTally:
    nbytes = sum(item.source.size for item in items)
    if site.terms.to_class is None:
        return RetireTally(deleted=len(items), deleted_bytes=nbytes)
    return RetireTally(moved=len(items), moved_bytes=nbytes)


def _entry(site: Site, item: Proven, info: ObjectInfo | None = None) -> Entry:
    return Entry(
        event="marked",  # what it is and when, `_write` says
        at=datetime.now(UTC),
        run_id=site.run_id,
        collection=site.collection,
        source_key=item.source.key,
        source_etag=item.source.etag if info is None else info.etag,
        source_size=item.source.size,
        source_sha256=item.sha256,
        proofs=item.proofs,
        storage_class=site.terms.to_class,
    )


def _write(site: Site, event: Event, entries: Sequence[Entry]) -> None:
    """Add entries in one commit, unless this is a dry run."""
    if site.dry_run or not entries:
        return
    now = datetime.now(UTC)
    site.journal.add([replace(entry, event=event, at=now, run_id=site.run_id) for entry in entries])
