"""Rows and runs that reports are made of in tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from tasks.catalog import RENDITIONS, CatalogRow, RunRecord
from tasks.catalog.schema import to_arrow
from tasks.jobs.report.summary import COLUMNS, RunAccount, account_of

START = datetime(2026, 5, 17, 8, 30, tzinfo=UTC)


def batch(rows: list[CatalogRow]) -> pa.RecordBatch:
    (made,) = (
        to_arrow(rows, RENDITIONS, committed_at=[START] * len(rows)).select(COLUMNS).to_batches()
    )
    return made


def account(*batches: list[CatalogRow], worst: int = 3) -> RunAccount:
    return account_of((batch(rows) for rows in batches), worst=worst)


def record(run_id: str = "r", job: str = "archive", **values: Any) -> RunRecord:
    known = {
        "started_at": START,
        "finished_at": START + timedelta(minutes=2, seconds=3),
        "software": "refold 9.9",
        "listed": 15,
        "archived": 10,
        "kept": 2,
        "quarantined": 1,
        "unchanged": 2,
        "source_bytes": 2 * 10**12,
        "stored_bytes": 10**11,
        "parameters_json": "{}",
    }
    return RunRecord(run_id=run_id, job=job, **(known | values))
