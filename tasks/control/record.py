"""The table of runs: what every job that writes to an archive leaves behind."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rescaling_core import SOFTWARE
from tasks.catalog import Catalog, RunRecord
from tasks.catalog.digests import append_digests
from tasks.storage.secrets import masked


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a job went through; each job says in docs/operations.md what it counts."""

    listed: int = 0
    archived: int = 0
    kept: int = 0
    quarantined: int = 0
    unchanged: int = 0
    source_bytes: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRun:
    """A run of a job, from its start."""

    job: str
    run_id: str
    parameters: dict[str, Any]
    """What was asked for; no credentials."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def write_run(catalog: Catalog, run: JobRun, counts: Counts) -> None:
    """Write what a run did into the catalog's table of runs.

    It is the last a run writes to the catalog, so the digests of its files are noted here.
    """
    catalog.record_run(
        RunRecord(
            run_id=run.run_id,
            job=run.job,
            started_at=run.started_at,
            finished_at=datetime.now(UTC),
            software=SOFTWARE,
            listed=counts.listed,
            archived=counts.archived,
            kept=counts.kept,
            quarantined=counts.quarantined,
            unchanged=counts.unchanged,
            source_bytes=counts.source_bytes,
            stored_bytes=counts.stored_bytes,
            parameters_json=masked(json.dumps(run.parameters)),
        )
    )
    append_digests(catalog.store, run.run_id)


def new_run_id() -> str:
    """A name that sorts by time and is never given twice."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
