"""What a run leaves in Prefect for its operator to read: counts, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from prefect import task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from tasks.control.logs import run_log
from tasks.control.server import in_short
from tasks.storage import accounting as requests

MAX_ROWS: Final = 500
"""Of a table artifact; Prefect keeps it in its database, the whole is in the command's output."""


@task(name="publish summary", cache_policy=NO_CACHE)
def publish(
    job: str,
    run_id: str,
    counts: Mapping[str, object],
    troubles: Sequence[Mapping[str, object]] = (),
    page: str | None = None,
    *,
    text: str = "",
    sent: Mapping[str, int] | None = None,
) -> None:
    """Leave a run's counts as Markdown, its troubles as a table if there are any, and a link.

    Args:
        job: Such as `scrub`.
        run_id: Of the run.
        counts: What was counted, by its name.
        troubles: What needs to be looked at: findings, failures.
        page: URL or path of what tells more.
        text: Markdown to put below the counts.
        sent: S3 requests of the run; by default those that were counted and not taken yet.
    """
    with only_reporting():
        _publish(job, run_id, counts, troubles, page, text, sent)


@contextmanager
def only_reporting() -> Iterator[None]:
    """Make what fails inside a warning: what the run did is done, whoever could be told of it."""
    try:
        with in_short():
            yield
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no reason to fail
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        run_log().warning("the summary of the run could not be left in Prefect: %s", reason)


def _publish(
    job: str,
    run_id: str,
    counts: Mapping[str, object],
    troubles: Sequence[Mapping[str, object]],
    page: str | None,
    text: str,
    sent: Mapping[str, int] | None,
) -> None:
    table = markdown_of({**counts, **billed(requests.drain() if sent is None else sent)})
    create_markdown_artifact(
        key=f"{job}-{run_id.lower()}",
        description=f"{job} run {run_id}",
        markdown=f"{table}\n{text}" if text else table,
    )
    if page is not None:
        create_link_artifact(
            key=f"{job}-page-{run_id.lower()}",
            link=page if "://" in page else Path(page).absolute().as_uri(),
            link_text=f"{job} of run {run_id}",
        )
    if troubles:
        shown: list[dict[str, Any]] = [dict(trouble) for trouble in troubles[:MAX_ROWS]]
        create_table_artifact(
            key=f"{job}-troubles-{run_id.lower()}",
            description=f"{len(troubles)} troubles of {job} run {run_id}, {len(shown)} shown",
            table=shown,
        )


def billed(sent: Mapping[str, int]) -> dict[str, str]:
    """The S3 requests of a run and their list price, in words; nothing where there were none."""
    if not sent:
        return {}
    kinds = ", ".join(f"{number} {kind}" for kind, number in sent.items())
    return {"S3 requests": f"{kinds}: about ${requests.cost(sent):.4f}"}


def markdown_of(counts: Mapping[str, object]) -> str:
    """A table of one row a count."""
    rows = "".join(f"| {name} | {value} |\n" for name, value in counts.items())
    return f"| | |\n|---|---:|\n{rows}"
