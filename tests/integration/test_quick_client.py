"""obstore is asked first, and all that does not go well is left to s3fs."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.session import Session

from rescaling_core.errors import UsageError
from tasks.storage import ObjectChangedError, ObjectNotFoundError, Store, accounting, open_store
from tasks.storage.s3 import quick
from tasks.storage.s3.encryption import Encryption
from tests.integration.test_stores import HARD_KEYS
from tests.servers.endpoint import S3Endpoint
from tests.servers.proxy import proxy


@pytest.fixture
def store(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("REFOLD_STORE_CLIENT", "obstore")
    return open_store(f"{moto_url}/archive")


@pytest.fixture
def by_s3fs(store: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The requests that s3fs is asked for."""
    seen: list[str] = []
    call = store._fs._call_s3

    async def noted(method: str, **arguments: Any) -> Any:
        seen.append(method)
        return await call(method, **arguments)

    monkeypatch.setattr(store._fs, "_call_s3", noted)
    yield seen
    accounting.drain()


def test_what_goes_well_is_asked_of_obstore_alone_and_counted(
    store: Store, by_s3fs: list[str], moto: S3Endpoint, moto_url: str
) -> None:
    accounting.drain()
    store.put("a ü%41?#", b"first")
    assert store.put_new("b", b"0123456789")
    assert store.get("a ü%41?#") == b"first"
    assert store.get_range("b", 2, 3) == b"234"
    assert store.get_range("b", 8, 9) == b"89"
    assert by_s3fs == []
    assert accounting.drain() == {"read": 3, "write": 2}
    etag = store.info("b").etag
    assert store.get_version("b", etag) == b"0123456789"
    assert by_s3fs == ["head_object"]
    listed = moto.client().list_objects_v2(Bucket=moto_url.removeprefix("s3://"))["Contents"]
    assert [one["Key"] for one in listed] == ["archive/a ü%41?#", "archive/b"]


def test_answers_about_an_object_are_explained_by_s3fs(store: Store, by_s3fs: list[str]) -> None:
    assert store.put_new("a", b"first")
    assert not store.put_new("a", b"second")
    assert by_s3fs == ["put_object"]
    assert store.get("a") == b"first"
    with pytest.raises(ObjectChangedError):
        store.get_version("a", "0" * 32)
    with pytest.raises(ObjectNotFoundError):
        store.get("b")
    assert store.get_range("a", 5, 1) == b""  # the server: 416
    assert by_s3fs == ["put_object", "get_object", "get_object", "get_object"]


def test_keys_that_obstore_would_take_for_others_go_by_s3fs(
    store: Store, by_s3fs: list[str]
) -> None:
    keys = ("/a", "a/", "a//b", "./a", "a/../b", "a/.", "..", "\x01a", "a\x7f")
    for number, key in enumerate(keys):
        assert store.put_new(key, b"%d" % number)
    assert by_s3fs == ["put_object"] * len(keys)
    assert [store.get(key) for key in keys] == [b"%d" % number for number in range(len(keys))]
    assert [info.key for info in store.list()] == sorted(keys)


def test_large_objects_and_such_with_a_retention_go_by_s3fs(
    store: Store, by_s3fs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "MOST_WRITTEN", 3)
    store.put("a", b"four")
    assert by_s3fs == ["put_object"]
    monkeypatch.setenv("REFOLD_RETENTION", '{"kept/": "GOVERNANCE 1d"}')
    store.put("other/a", b"abc")
    assert by_s3fs == ["put_object"]
    with pytest.raises(UsageError, match="only a bucket with Object Lock"):
        store.put_new("kept/a", b"abc")


def test_storage_classes_go_along(
    store: Store, moto: S3Endpoint, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFOLD_STORAGE_CLASSES", '{"cool/": "STANDARD_IA"}')
    store.put("cool/a", b"1")
    store.put("warm/a", b"1")
    assert (store.class_of("cool/a"), store.class_of("warm/a")) == ("STANDARD_IA", "STANDARD")


def test_after_a_busy_server_s3fs_does_all_for_a_while(
    moto: S3Endpoint, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFOLD_STORE_CLIENT", "obstore")
    seen: Counter[str] = Counter()

    def busy(method: str, _path: str) -> Any:
        seen[method] += 1
        return "503" if seen.total() == 1 else None

    with proxy(moto, faults=busy) as flaky:
        monkeypatch.setenv("AWS_ENDPOINT_URL", flaky.url)
        store: Any = open_store(moto_url)
        store.put("a", b"1")
        assert seen == {"PUT": 2}
        assert not store._quick._takes("a")
        monkeypatch.setattr(quick.time, "monotonic", lambda: 10**9)
        assert store._quick._takes("a")


def test_a_forked_process_leaves_all_to_s3fs(store: Any) -> None:
    store.put("a", b"1")
    parent, child = multiprocessing.Pipe()

    def look() -> None:
        child.send((store._quick._takes("a"), open_store(store.url)._quick))

    process = multiprocessing.get_context("fork").Process(target=look)
    process.start()
    assert parent.poll(30)
    assert parent.recv() == (False, None)
    process.join(30)
    assert store._quick._takes("a")


def test_what_obstore_is_told_is_what_botocore_would_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("REFOLD_STORE_CLIENT", raising=False)

    def host(bucket: str, endpoint: str | None = None) -> str:
        return quick._config(bucket, Session(), None, endpoint)["aws_endpoint_url_s3"]

    assert host("photos") == "https://photos.s3.eu-west-1.amazonaws.com"
    assert host("my.photos") == "https://s3.eu-west-1.amazonaws.com"
    assert host("photos", "http://ceph:8000") == "http://ceph:8000"
    assert quick.quick_client("photos", Session(), None, None) is not None
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint:photos"
    assert quick.quick_client(arn, Session(), None, None) is None
    for said in ("use_fips_endpoint = true", "s3 =\n  addressing_style = path"):
        (tmp_path / "config").write_text(f"[default]\n{said}\n", "utf-8")
        assert quick.quick_client("photos", Session(), None, None) is None


@pytest.mark.parametrize(
    "encryption",
    [None, Encryption("aws:kms", key_id="some-key"), Encryption("customer", key=bytes(32))],
)
def test_servers_that_check_signatures_take_its_requests(
    encryption: Encryption | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    signer, seen = S3SigV4Auth(Credentials("key", "secret"), "s3", "us-east-1"), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            names, signature = self.headers["Authorization"].split("SignedHeaders=")[1].split(", ")
            sent = {k: v for k, v in self.headers.items() if k.lower() in names.split(";")}
            url = f"http://{sent.pop('host')}{self.path}"
            request = AWSRequest("PUT", url, headers=sent, data=body)
            request.context["timestamp"] = sent["x-amz-date"]
            text = signer.string_to_sign(request, signer.canonical_request(request))
            seen.append(signature == f"Signature={signer.signature(text, request)}")
            seen.append(all(k.lower() in names for k in self.headers if k.startswith("x-amz")))
            seen.append(sent["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest())
            self.send_response(200)
            self.send_header("ETag", '"0"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        client = quick.quick_client("photos", Session(), encryption, address)
        assert client is not None
        for key in HARD_KEYS:
            assert client.write(f"pre fix%#ü/{key}", b"data", create=True, storage_class="GLACIER")
        server.shutdown()
    assert seen == [True] * 3 * len(HARD_KEYS)


def test_what_obstore_refuses_is_left_to_s3fs_and_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n", "ascii")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    assert quick.quick_client("photos", Session(), None, None) is None
    assert "s3fs does all for s3://photos" in caplog.text


def test_credentials_that_end_are_asked_for_again() -> None:
    session, now = Session(), datetime.now(UTC)

    def told() -> Any:
        client: Any = quick.quick_client("photos", session, None, None)
        return client.store.credential_provider()

    session._credentials = Credentials("key", "secret")
    assert told()["expires_at"] is None
    until = now + timedelta(hours=1)
    session._credentials = RefreshableCredentials("key", "secret", "token", until, dict, "role")
    assert told()["token"] == "token"
    assert now < told()["expires_at"] < now + timedelta(minutes=10)


def test_a_client_that_is_not_installed_is_missed_only_where_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setenv("REFOLD_STORE_CLIENT", "obstore")
    with pytest.raises(UsageError, match="pip install 'refold\\[obstore\\]'"):
        quick.quick_client("photos", Session(), None, None)
    monkeypatch.delenv("REFOLD_STORE_CLIENT")
    assert quick.quick_client("photos", Session(), None, None) is None
    assert os.environ.get("REFOLD_STORE_CLIENT") is None
