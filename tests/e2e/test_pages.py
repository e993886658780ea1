"""Every command on the pages for newcomers, single tasks and trouble does what the page says."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from tests.pages import (
    DOCS,
    IN_PROCESSES,
    bash,
    blocks,
    check,
    commands,
    here,
    run_page,
    small_photographs,
    write_down,
)
from tests.servers.endpoint import S3Endpoint
from tests.unit.infra.commands import refuse_unknown

NOT_RUN = {
    "start/laptop.md": 2,
    "start/bucket.md": 1,
    "start/schedule.md": 4,
    "start/cluster.md": 3,
    "how-to/add-a-network.md": 4,
    "how-to/kuberay.md": 3,
}
"""Blocks of commands that are marked as not run; each mark says why."""

PAGES = [
    "operations/recover.md",
    "operations/retire.md",
    *sorted(
        path.relative_to(DOCS).as_posix()
        for folder in ("start", "how-to")
        for path in (DOCS / folder).glob("*.md")
        if path.name != "transcript.md"  # which tells what came of following them
    ),
]


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    consoles = {page: [b for b in blocks(DOCS / page) if b.kind == "console"] for page in PAGES}
    skipped = {page: [b.not_run for b in found if b.not_run] for page, found in consoles.items()}
    assert {page: len(found) for page, found in skipped.items() if found} == NOT_RUN
    assert all(consoles.values()), "each page shows a command"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_one_that_there_is(page: str) -> None:
    for block in blocks(DOCS / page):
        for command in commands(block.text) if block.kind == "console" else ():
            for line in command.line.replace("\\\n", " ").split("|"):
                if line.strip().startswith("refold "):
                    words = shlex.split(line.partition(" > ")[0], comments=True)
                    refuse_unknown([word for word in words if word != "..."])


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_command_prints_what_the_page_says(
    page: str,
    tmp_path: Path,
    prefect_server: str,
    workers_here: None,
    request: pytest.FixtureRequest,
) -> None:
    environment = {"PREFECT_API_URL": prefect_server, "COLUMNS": "100", "REFOLD_WORKERS": "1"}
    if page == "start/bucket.md":
        environment |= buckets(request.getfixturevalue("moto"), tmp_path)

    def seen(*done: object) -> None:
        write_down(DOCS / page, *done[:2]) if os.environ.get("REFOLD_WRITE_PAGES") else check(*done)

    shell = (bash if IN_PROCESSES else here)(environment)
    count = run_page(DOCS / page, tmp_path, shell, seen)
    marked = len([block for block in blocks(DOCS / page) if block.not_run])
    assert count > 0 or marked > 0


def buckets(moto: S3Endpoint, folder: Path) -> dict[str, str]:
    """Two buckets as the page about buckets has them; the environment that leads there."""
    client = moto.client()
    for name in ("my-photos", "my-archive"):
        client.create_bucket(Bucket=name)
    small_photographs(folder / "uploaded")
    for path in (folder / "uploaded").rglob("*.*"):
        key = path.relative_to(folder / "uploaded").as_posix()
        client.upload_file(str(path), "my-photos", key)
    return moto.environment
