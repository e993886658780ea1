"""An archive on Azure Blob Storage: what fsspec and Delta Lake both reach holds one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.jobs.maintain import steps as maintenance
from tasks.jobs.restore.requests import RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer
from tasks.storage import open_store
from tests.small_archive import small_archive

pytestmark = pytest.mark.slow


def test_sources_on_azure_are_archived_there_and_come_back(
    azurite_url: str, tmp_path: Path
) -> None:
    made = small_archive(azurite_url, tmp_path, 3)
    assert [row.state for row in made.rows()] == ["archived"] * 3
    made.run("x2", "long-edge=24", run_id="run-2")  # a second commit on the same tables
    assert len(made.rows()) == 6
    destination = f"{azurite_url}/restored"
    restorer = Restorer(
        RestorationJob(archive_url=made.archive_url, destination_url=destination, overwrite=False)
    )
    requests, missing = made.requests(target="x2")
    assert missing == []
    outcomes = [restorer.restore(request) for request in requests]
    assert all(isinstance(outcome, Restored) for outcome in outcomes), outcomes
    assert len(list(open_store(destination).list())) == 3


def test_what_no_row_names_is_removed_there_once_it_is_old(
    azurite_url: str, tmp_path: Path
) -> None:
    made = small_archive(azurite_url, tmp_path, 1)
    stray = "renditions/x2/a/stray.png"
    made.archive.put(stray, b"a killed run left this")
    now = datetime.now(UTC)
    find = maintenance.find_garbage.fn
    assert find(made.archive, made.catalog, now - timedelta(hours=1)) == []
    later = now + timedelta(hours=1)
    keys = find(made.archive, made.catalog, later)
    assert keys == [stray]
    maintenance.remove_garbage.fn(made.archive, keys, later)
    assert not made.archive.exists(stray)
    assert all(made.archive.exists(row.lr_key) for row in made.rows())
