"""A store that takes the connection and never answers is given up within the time that is set."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import pytest

from tasks.storage import StorageError, open_store

ATTEMPTS = 3


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a bucket on a server that listens, takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "REFOLD_STORE_CONNECT_SECONDS": "0.5",
            "REFOLD_STORE_READ_SECONDS": "0.5",
            "REFOLD_STORE_ATTEMPTS": str(ATTEMPTS),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        yield "s3://bucket/photos"


@pytest.mark.timeout(60)  # with the usual time-outs it would take six minutes
def test_a_store_that_never_answers_is_given_up(
    silent: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(StorageError) as caught:
        open_store(silent).require_root()
    assert caught.value.retryable
    assert "photos" in str(caught.value)
    said = [record.getMessage() for record in caplog.records if "waiting" in record.message]
    assert [text.split(":")[0] for text in said] == [
        f"waiting for the store, try {number} of {ATTEMPTS}" for number in range(2, ATTEMPTS + 1)
    ]
