"""A store that takes the connection and never answers is given up within the time that is set."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator

import pytest
from adlfs import AzureBlobFileSystem

from tasks.catalog import open_catalog
from tasks.storage import StorageError, Store, open_store

ATTEMPTS = 3


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a server that listens, takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        url = f"http://{host}:{port}"
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": url,
            "AZURE_STORAGE_CONNECTION_STRING": "DefaultEndpointsProtocol=http;AccountName=someone;"
            f"AccountKey=c2VjcmV0;BlobEndpoint={url}/someone;",
            "REFOLD_STORE_CONNECT_SECONDS": "0.5",
            "REFOLD_STORE_READ_SECONDS": "0.5",
            "REFOLD_STORE_ATTEMPTS": str(ATTEMPTS),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        AzureBlobFileSystem.clear_instance_cache()  # those of other servers
        yield url


@pytest.mark.timeout(60)  # with the usual time-outs it would take six minutes
def test_a_store_that_never_answers_is_given_up(
    silent: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(StorageError) as caught:
        open_store("s3://bucket/photos").require_root()
    assert caught.value.retryable
    assert "photos" in str(caught.value)
    said = [record.getMessage() for record in caplog.records if "waiting" in record.message]
    assert [text.split(":")[0] for text in said] == [
        f"waiting for the store, try {number} of {ATTEMPTS}" for number in range(2, ATTEMPTS + 1)
    ]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("url", ["s3://bucket/archive", "abfs://container/archive"])
def test_the_client_of_the_tables_waits_no_longer(silent: str, url: str) -> None:
    """Delta Lake has one of its own, which waited for five minutes."""
    with pytest.raises(StorageError) as caught:
        open_catalog(open_store(url), create=False)
    assert caught.value.retryable
    assert "archive" in str(caught.value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("address", ["abfs://container/photos", "{http}/photos"])
@pytest.mark.parametrize(
    "asked",
    [
        lambda store: store.require_root(),
        lambda store: store.get("a.png"),
        lambda store: list(store.list()),
    ],
    ids=["look", "read", "list"],
)
def test_clients_of_other_stores_wait_no_longer(
    silent: str, address: str, asked: Callable[[Store], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure's error was none that anybody expected, and over HTTP the listing was just empty."""
    monkeypatch.setenv("REFOLD_STORE_ATTEMPTS", "2")  # Azure's client waits long before a third
    store = open_store(address.format(http=silent))
    with pytest.raises(StorageError) as caught:
        asked(store)
    assert caught.value.retryable
    assert "photos" in str(caught.value)
