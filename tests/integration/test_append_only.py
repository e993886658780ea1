"""Stores that let nobody delete: an archive can be written there all the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rescaling_core.plan import Floor
from tasks.catalog.journal import Journal
from tasks.collection.listing import EVERYTHING
from tasks.control.run import Wave
from tasks.jobs.maintain import steps as maintenance
from tasks.jobs.retire import actions
from tasks.jobs.retire import steps as retiring
from tasks.jobs.retire.actions import Site
from tasks.jobs.retire.decisions import Terms
from tasks.jobs.retire.tally import RetireTally
from tasks.jobs.retire.worker import Verifier
from tasks.storage import StorageError, Store, open_store
from tasks.storage.probe import PROBE_FOLDER, prove_conditional_writes, remove_probes
from tests.servers.endpoint import S3Endpoint
from tests.servers.proxy import Fault, proxy
from tests.small_archive import HerePool, small_archive

pytestmark = pytest.mark.slow


@pytest.fixture
def denied() -> list[str]:
    """Methods that the server refuses, for a test to change."""
    return ["DELETE"]


@pytest.fixture
def store(moto: S3Endpoint, denied: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    def refuse(method: str, _path: str) -> Fault | None:
        return "403" if method in denied else None

    bucket = moto.new_bucket()
    with proxy(moto, faults=refuse) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield open_store(f"s3://{bucket}/archive")


def _probes(store: Store) -> list[str]:
    return [info.key for info in store.list(f"{PROBE_FOLDER}/")]


def test_it_is_proven_told_once_and_no_run_leaves_one_more(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        prove_conditional_writes(store)
        assert "append-only" in caplog.text
        left = _probes(store)
        caplog.clear()
        for _ in range(3):
            prove_conditional_writes(store)
    assert caplog.text == ""
    assert _probes(store) == left
    assert len(left) == 2


def test_maintenance_removes_them_once_it_may(store: Store, denied: list[str]) -> None:
    prove_conditional_writes(store)
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert remove_probes(store, later) == []
    denied.clear()
    assert remove_probes(store, later - timedelta(days=1)) == [], "they are too young"
    assert len(remove_probes(store, later, dry_run=True)) == 2
    assert len(remove_probes(store, later)) == 2
    assert _probes(store) == []
    prove_conditional_writes(store)
    assert _probes(store) == []


def test_maintenance_without_the_right_to_delete_says_so_and_does_the_rest(
    store: Store, denied: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = small_archive(store.url, tmp_path, count=2, targets=("long-edge=24",))
    made.archive.put("renditions/x2/orphan.png/0.png", b"not named")
    later = datetime.now(UTC) + timedelta(hours=2)
    with caplog.at_level(logging.WARNING):
        assert not maintenance.may_delete.fn(made.archive)
    assert [told for told in caplog.messages if "may not delete there" in told]
    keys = maintenance.find_garbage.fn(made.archive, made.catalog, later)
    assert maintenance.remove_garbage.fn(made.archive, keys, later, dry_run=True).done == 1
    kept = maintenance.keep_tables_up.fn(made.catalog, timedelta(0), may_delete=False)
    assert kept.files_after < kept.files_before
    assert kept.files_removed > 0, "counted, and still there"
    assert made.archive.exists(keys[0])
    denied.clear()
    assert maintenance.may_delete.fn(made.archive)
    again = maintenance.keep_tables_up.fn(made.catalog, timedelta(0))
    assert again.files_removed == kept.files_removed


def test_sources_that_may_not_be_deleted_stay_and_their_marks_stand(
    store: Store, denied: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = small_archive(store.url, tmp_path, count=2)
    soon = datetime.now(UTC) + timedelta(hours=1)
    site = Site(
        source=made.source,
        archive=made.archive,
        catalog=made.catalog,
        journal=Journal(made.archive),
        collection=made.source.place.name,
        terms=Terms(archived_before=soon, marked_before=soon),
        floors={},
        floor=Floor(),
        run_id="retire",
        dry_run=False,
    )
    listing = retiring.chunks_of(retiring.list_completely.fn(made.source, EVERYTHING))
    pool = HerePool(Verifier(made.source_url, made.archive_url).verify)

    def retire() -> RetireTally:
        wave = Wave(1, listing, total=2)
        return retiring.retire_wave.fn(wave, site, pool)

    assert retire().marked == 2
    with caplog.at_level(logging.WARNING):
        refused = retire()
    assert refused.stay == {actions.NOT_PERMITTED: 2}
    assert refused.deleted == 0
    assert len([told for told in caplog.messages if "access denied" in told]) == 1
    assert len(list(made.source.list())) == 2
    denied.clear()
    assert retire().deleted == 2
    assert list(made.source.list()) == []


def test_a_store_that_lets_nobody_write_says_that_and_not_what_followed(
    store: Store, denied: list[str]
) -> None:
    denied.append("PUT")
    with pytest.raises(StorageError, match="access denied") as caught:
        prove_conditional_writes(store)
    assert "delete" not in str(caught.value)
