"""Stores that let nobody delete: an archive can be written there all the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tasks.storage import StorageError, Store, open_store
from tasks.storage.probe import PROBE_FOLDER, prove_conditional_writes, remove_probes
from tests.servers.endpoint import S3Endpoint
from tests.servers.proxy import Fault, proxy

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


def test_a_store_that_lets_nobody_write_says_that_and_not_what_followed(
    store: Store, denied: list[str]
) -> None:
    denied.append("PUT")
    with pytest.raises(StorageError, match="access denied") as caught:
        prove_conditional_writes(store)
    assert "delete" not in str(caught.value)
