"""The report job: a page that tells what a run did."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow

from flows.results import Refused, ReportSummary
from tasks.control.artifacts import publish
from tasks.control.opening import check_request, open_archive
from tasks.jobs.report import steps
from tasks.jobs.report.check import Request, check
from tasks.jobs.report.page import Report, render_report
from tasks.storage.addresses import Address


@flow(name="report")
def report(
    archive: Address, run_id: str | None = None, worst: int = 6, output: str | None = None
) -> ReportSummary:
    """Write an HTML report of a run into its archive; the catalog is only read.

    Args:
        archive: URL or path of the archive.
        run_id: Of an archive or backfill run; by default the latest.
        worst: How many of the worst restorations to show.
        output: A local file to write instead of into the archive.

    Raises:
        UsageError: No archive there, no such run, or too many restorations asked for.
        StorageError: The store fails.
    """
    check_request(check, Request(archive=archive, run_id=run_id, worst=worst, output=output))
    catalog = open_archive(archive)
    run = steps.find_run(catalog, run_id)
    account = steps.add_up(catalog, run.run_id, worst)
    shown = steps.restore_worst(catalog, run.run_id, account.worst)
    page = render_report(
        Report(
            archive=archive,
            run=run,
            account=account,
            shown=tuple(shown),
            made_at=datetime.now(UTC),
        )
    )
    location = steps.write_report(catalog.store, run.run_id, page, output)
    refused = tuple(
        Refused(source_key=one.row.source_key, target=one.row.target, reason=one.refusal)
        for one in shown
        if one.refusal is not None
    )
    _publish(run.run_id, location, len(shown), refused)
    return ReportSummary(
        run_id=run.run_id,
        job=run.job,
        location=location,
        nbytes=len(page.encode("utf-8", "replace")),
        targets={name: one.to_json() for name, one in sorted(account.by_target.items())},
        strategies=account.strategies.report(),
        shown=len(shown),
        refused=refused,
    )


def _publish(run_id: str, location: str, shown: int, refused: tuple[Refused, ...]) -> None:
    publish(
        "report",
        run_id,
        {"restorations shown": shown, "of them refused": len(refused)},
        [{"source": one.source_key, "target": one.target, "reason": one.reason} for one in refused],
        page=location,
    )
