"""Steps that meet a store which fails for a while are tried again by Prefect; others are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import flow

from tasks.control import opening
from tasks.control import run as runs
from tasks.control.artifacts import markdown_of, publish
from tasks.control.retries import DELAYS
from tasks.jobs.archive import steps as archiving
from tasks.jobs.backfill import steps as backfilling
from tasks.jobs.maintain import steps as maintenance
from tasks.jobs.rebuild import steps as rebuilding
from tasks.jobs.restore import steps as restoring
from tasks.jobs.retire import steps
from tasks.jobs.scrub import steps as scrubbing
from tasks.storage import ObjectInfo, StorageError
from tasks.storage import accounting as requests
from tasks.storage.local import LocalStore
from tests.small_archive import SmallArchive, small_archive

STEPS = (
    opening.open_for_writing,
    archiving.find_pending,
    archiving.convert_wave,
    opening.open_archive,
    opening.find_source,
    backfilling.count_gaps,
    backfilling.backfill_wave,
    maintenance.find_garbage,
    maintenance.keep_tables_up,
    rebuilding.find_lr_files,
    rebuilding.rebuild_wave,
    restoring.select_renditions,
    restoring.restore_wave,
    runs.record_job,
    scrubbing.check_catalog_files,
    scrubbing.scrub_wave,
    steps.list_completely,
)


def test_every_step_that_may_be_repeated_is() -> None:
    for step in STEPS:
        assert (step.retries, step.retry_delay_seconds) == (len(DELAYS), DELAYS), step.name
    # What a second try would take for another's deletions is not repeated.
    assert steps.retire_wave.retries == 0


@pytest.fixture
def made(tmp_path: Path) -> SmallArchive:
    return small_archive(str(tmp_path), tmp_path, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("passes", "calls"), [(True, 3), (False, 1)])
def test_a_failure_that_passes_is_waited_for(
    made: SmallArchive,
    monkeypatch: pytest.MonkeyPatch,
    prefect_server: str,
    passes: bool,
    calls: int,
) -> None:
    real, asked = LocalStore.list, []

    def failing(store: LocalStore, prefix: str = "") -> Iterator[ObjectInfo]:
        if prefix == "renditions/":
            asked.append(prefix)
            if len(asked) < 3:
                raise StorageError("503 slow down", retryable=passes)
        return real(store, prefix)

    monkeypatch.setattr(LocalStore, "list", failing)

    @flow
    def one_step() -> list[str]:
        find = rebuilding.find_lr_files.with_options(retry_delay_seconds=0)
        return [file.place.lr_key for file in find(made.archive).files]

    if passes:
        assert one_step() == [made.rows()[0].lr_key]
    else:
        with pytest.raises(StorageError, match="503"):
            one_step()
    assert len(asked) == calls


@pytest.mark.slow
def test_a_run_leaves_its_counts_and_troubles_in_prefect(prefect_server: str) -> None:
    from prefect.client.orchestration import SyncPrefectClient

    @flow
    def one_step() -> None:
        publish("scrub", "20260101T000000-AB12", {"checked": 3}, [{"lr_key": "a", "reason": "b"}])

    requests.drain()  # other tests of this process may have sent some
    one_step()
    with SyncPrefectClient(prefect_server) as client:
        found = {artifact.key: artifact for artifact in client.read_artifacts()}
    counts = found["scrub-20260101t000000-ab12"]
    assert counts.data == markdown_of({"checked": 3}) == "| | |\n|---|---:|\n| checked | 3 |\n"
    assert "lr_key" in str(found["scrub-troubles-20260101t000000-ab12"].data)
