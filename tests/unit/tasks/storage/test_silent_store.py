"""A store that takes the connection and never answers is given up within the time that is set."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from adlfs import AzureBlobFileSystem
from gcsfs import GCSFileSystem

from rescaling_core.errors import UsageError
from tasks.catalog import open_catalog
from tasks.storage import StorageError, Store, open_store
from tests.servers.ftp import ftp_server

ATTEMPTS = 3

every_question = pytest.mark.parametrize(
    "asked",
    [
        lambda store: store.require_root(),
        lambda store: store.get("a.png"),
        lambda store: list(store.list()),
    ],
    ids=["look", "read", "list"],
)


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
            "STORAGE_EMULATOR_HOST": url,
            "REFOLD_STORE_CONNECT_SECONDS": "0.5",
            "REFOLD_STORE_READ_SECONDS": "0.5",
            "REFOLD_STORE_ATTEMPTS": str(ATTEMPTS),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        for client in (AzureBlobFileSystem, GCSFileSystem):
            client.clear_instance_cache()  # those of other servers
        yield url


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("url", ["s3://bucket/archive", "abfs://container/archive"])
def test_the_client_of_the_tables_waits_no_longer(silent: str, url: str) -> None:
    """Delta Lake has one of its own, which waited for five minutes."""
    with pytest.raises(StorageError) as caught:
        open_catalog(open_store(url), create=False)
    assert caught.value.retryable
    assert "archive" in str(caught.value)


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "address", ["abfs://container/photos", "gs://bucket/photos", "{http}/photos"]
)
@every_question
def test_clients_of_other_stores_wait_no_longer(
    silent: str, address: str, asked: Callable[[Store], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure's error was none that anybody expected, over HTTP the listing was just empty, and
    Google's folder was just not there, and the reason of the rest was `FSTimeoutError`."""
    monkeypatch.setenv("REFOLD_STORE_ATTEMPTS", "2")  # Azure\'s client waits long before a third
    store = open_store(address.format(http=silent))
    with pytest.raises(StorageError) as caught:
        asked(store)
    assert caught.value.retryable
    assert "photos" in str(caught.value)
    assert "FSTimeoutError" not in str(caught.value)


@pytest.mark.timeout(60)
def test_a_server_that_does_not_greet_is_given_up_by_its_name(silent: str) -> None:
    address = silent.replace("http", "ftp")
    with pytest.raises(StorageError, match="cannot connect: timed out") as caught:
        open_store(f"{address}/photos")
    assert caught.value.retryable
    assert address in str(caught.value)


@pytest.mark.timeout(60)
@every_question
def test_a_server_that_falls_silent_later_is_given_up(
    silent: str, tmp_path: Path, asked: Callable[[Store], object]
) -> None:
    with ftp_server(tmp_path, silent=True) as url:
        store = open_store(f"{url}/photos")
        with pytest.raises(StorageError, match="photos") as caught:
            asked(store)
    assert caught.value.retryable


def test_a_folder_that_an_ftp_server_refuses_ends_the_listing(tmp_path: Path) -> None:
    """It counted as empty, so that a listing looked complete."""
    for folder in ("photos/empty", "photos/locked"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "photos" / "a.png").write_bytes(b"photo")
    with ftp_server(tmp_path) as url:
        with pytest.raises(StorageError, match="550 not for you"):
            list(open_store(f"{url}/photos").list())
        (tmp_path / "photos" / "locked").rmdir()
        assert [info.key for info in open_store(f"{url}/photos").list()] == ["a.png"]


def test_files_are_read_over_ftp_by_several_threads_and_have_a_mark_of_their_time(
    tmp_path: Path,
) -> None:
    """All have one connection, on which their answers were mixed up."""
    (tmp_path / "photos" / "2019").mkdir(parents=True)
    for i in range(8):
        (tmp_path / "photos" / "2019" / f"{i}.png").write_bytes(bytes([i]) * 100_000)
    with ftp_server(tmp_path) as url:
        store = open_store(f"{url}/photos")
        store.require_root()
        listed = list(store.list())
        with ThreadPoolExecutor(4) as threads:
            read = list(threads.map(store.get, [info.key for info in listed]))
        with pytest.raises(UsageError, match="no such folder"):
            open_store(f"{url}/pictures").require_root()
    assert [info.key for info in listed] == [f"2019/{i}.png" for i in range(8)]
    assert read == [bytes([i]) * 100_000 for i in range(8)]
    assert all("20260102030405" in info.etag for info in listed)
