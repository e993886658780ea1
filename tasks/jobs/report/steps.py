"""The steps of a report, as Prefect tasks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from prefect import task

from tasks.catalog import Catalog, RunRecord
from tasks.catalog.query import literal
from tasks.control import progress
from tasks.control.progress import Progress
from tasks.control.retries import RETRIED
from tasks.jobs.report.choice import choose_run
from tasks.jobs.report.previews import Shown, show
from tasks.jobs.report.summary import COLUMNS, Measured, RunAccount, account_of
from tasks.storage import StorageError, Store


@task(name="find run", **RETRIED)
def find_run(catalog: Catalog, run_id: str | None) -> RunRecord:
    """The run asked for, else the latest one that made renditions.

    Raises:
        UsageError: There is no such run.
    """
    return choose_run(catalog.runs(), run_id)


@task(name="add up rows", **RETRIED)
def add_up(catalog: Catalog, run_id: str, worst: int) -> RunAccount:
    """Read the rows of a run, batch by batch, and keep what they come to."""
    batches = catalog.batches(where=_of_run(run_id), columns=COLUMNS)
    return account_of(_reported(batches), worst=worst)


def _reported(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    done = 0
    for batch in batches:
        yield batch
        done += batch.num_rows
        progress.report(Progress(step="scan", done=done, total=None))


@task(name="restore the worst", **RETRIED)
def restore_worst(catalog: Catalog, run_id: str, worst: Sequence[Measured]) -> list[Shown]:
    """Restore renditions from storage, in the order given; what is refused says why."""
    if not worst:
        return []
    keys = sorted({one.source_key for one in worst})
    rows = {
        (row.source_key, row.target): row for row in catalog.archived(_of_run(run_id), sources=keys)
    }
    shown: list[Shown] = []
    for one in worst:
        # A row that another run replaced this instant is not of this run any more.
        if row := rows.get((one.source_key, one.target)):
            shown.append(show(catalog.store, row))
        progress.report(Progress(step="restore", done=len(shown), total=len(worst)))
    return shown


@task(name="write report", **RETRIED)
def write_report(store: Store, run_id: str, html: str, output: str | None) -> str:
    """Write the page, in place of an earlier one.

    Args:
        store: The archive.
        run_id: Of the run.
        html: The page.
        output: A file to write instead of into the archive.

    Returns:
        Where it lies.

    Raises:
        StorageError: It cannot be written.
    """
    data = html.encode("utf-8", "replace")
    if output is None:
        key = f"reports/{run_id}/index.html"
        store.put(key, data)
        return f"{store.url.rstrip('/')}/{key}"
    try:
        Path(output).write_bytes(data)
    except OSError as error:
        raise StorageError(f"{output}: cannot be written: {error.strerror}") from error
    return output


def _of_run(run_id: str) -> str:
    return f"run_id = {literal(run_id)}"
