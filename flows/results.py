"""What the flows of an archive return, apart from the flows: a command may have it without them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from rescaling_core.plan import ArchivePlan
from tasks.catalog import Catalog, State
from tasks.catalog.strategies import StrategyCost
from tasks.jobs.archive.tally import ArchiveTally, Pending
from tasks.renditions.stored_as import settle_storage
from tasks.storage import accounting as requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A restoration that was to be shown and did not pass its checks."""

    source_key: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSummary:
    """What was written."""

    run_id: str
    job: str
    location: str
    """URL or path of the page."""
    nbytes: int
    """Of the page."""
    targets: dict[str, dict[str, Any]]
    """Counts, bytes and quality by target, of the rows that the catalog has of the run."""
    strategies: dict[str, list[StrategyCost]]
    """By target, as in the summary of an archive run."""
    shown: int
    """The worst restorations, refused ones too."""
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run did. A source counts once; archived + kept + quarantined + unchanged = listed."""

    run_id: str
    targets: tuple[str, ...]
    listed: int
    archived: int
    kept: int
    quarantined: int
    cold: int
    """Of those kept, the ones that lie in a cold class of their store: thaw them and run again."""
    unchanged: int
    """Sources the catalog had already, in whatever state."""
    renditions: dict[str, int]
    """The same by state, counted for each source and target."""
    source_bytes: int
    """Of the archived sources."""
    stored_bytes: int
    """Of their LR objects."""
    strategies: dict[str, list[StrategyCost]]
    """By target: how often each strategy of the plan was chosen, and what it alone would have
    stored; see `tasks.catalog.strategies`."""
    seconds: float
    s3_requests: dict[str, int]
    """Sent to S3 by this run and its workers, by kind; empty where nothing lies there."""
    s3_requests_usd: float
    """What they cost, at list prices."""
    report: ReportSummary | None
    """Of the page about this run; None if none was asked for, or there was nothing to convert."""
    storage: str | None = None
    """Why LR files lie in packs though the plan does not say so; None where they do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a run would do."""

    targets: tuple[str, ...]
    listed: int
    pending: int
    """Sources that are new, changed, or lack a target."""
    pending_bytes: int
    unchanged: int
    storage: str | None = None
    """Why LR files would lie in packs though the plan does not say so; None where they would not.
    """


def dry_run_of(plan: ArchivePlan, pending: Pending, catalog: Catalog) -> DryRun:
    """What a run of a plan would do.

    Raises:
        StorageError: The archive cannot be read.
    """
    return DryRun(
        targets=plan.target_names,
        listed=pending.listed,
        pending=pending.count,
        pending_bytes=pending.nbytes,
        unchanged=pending.unchanged,
        storage=settle_storage(plan, pending.listed, catalog).reason,
    )


def summary_of(
    run_id: str,
    tally: ArchiveTally,
    plan: ArchivePlan,
    *,
    seconds: float,
    sent: dict[str, int],
    page: ReportSummary | None = None,
    storage: str | None = None,
) -> RunSummary:
    """What a run did.

    Args:
        run_id: Its name in the table of runs.
        tally: What it counted.
        plan: What it was to do.
        seconds: How long it took.
        sent: Requests to S3, by kind.
        page: The page about it, if there is one.
        storage: Why LR files lie in packs, if the plan does not say so.
    """
    return RunSummary(
        run_id=run_id,
        targets=plan.target_names,
        listed=tally.listed,
        archived=tally.archived,
        kept=tally.kept,
        cold=tally.cold,
        quarantined=tally.quarantined,
        unchanged=tally.unchanged,
        renditions={state: tally.renditions[state] for state in get_args(State)},
        source_bytes=tally.source_bytes,
        stored_bytes=tally.stored_bytes,
        strategies=tally.strategies.report(),
        seconds=round(seconds, 3),
        s3_requests=sent,
        s3_requests_usd=round(requests.cost(sent), 6),
        report=page,
        storage=storage,
    )
