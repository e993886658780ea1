"""What only S3 can get wrong: paging, faults on the wire, refusals, stores that lie."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from rescaling_core.errors import UsageError
from tasks.control.artifacts import billed
from tasks.storage import ObjectNotFoundError, StorageError, UnstorableKeyError, open_store
from tasks.storage import accounting as requests
from tasks.storage.probe import prove_conditional_writes
from tasks.storage.s3 import parts as s3_multipart
from tests.servers.processes import free_port
from tests.servers.proxy import proxy

pytestmark = pytest.mark.usefixtures("store_client")


def test_listing_pages_and_stays_sorted(s3_server, s3_url):
    bucket = s3_url.removeprefix("s3://")
    client = s3_server.client()
    keys = [f"photos/{n % 7}/{n:05}.jpg" for n in range(1203)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=b"x"), keys))
    client.put_object(Bucket=bucket, Key="photos2/not-ours", Body=b"x")
    client.put_object(Bucket=bucket, Key="photos/3/", Body=b"")  # a folder's marker
    listed = [info.key for info in open_store(f"{s3_url}/photos").list()]
    assert listed == sorted(key.removeprefix("photos/") for key in keys)


def test_keys_only_s3_can_have_are_read_and_written(s3_url):
    store = open_store(s3_url)
    keys = ("/leading", "double//slash", "dot/./x", "up/../x", "trailing/", "\x01control")
    for key in keys:
        assert store.put_new(key, key.encode())
        assert store.get(key) == key.encode()
    assert [info.key for info in store.list()] == sorted(keys)
    with pytest.raises(UnstorableKeyError, match="over 1024 bytes"):
        store.put_new("é" * 513, b"")


def test_a_source_that_is_not_there_is_refused(s3_url):
    open_store(s3_url).require_root()  # an empty bucket is a collection without sources
    with pytest.raises(UsageError, match="nothing is stored under this prefix"):
        open_store(f"{s3_url}/typo").require_root()
    with pytest.raises(UsageError, match="no such bucket"):
        open_store("s3://no-such-bucket-at-all").require_root()
    with pytest.raises(StorageError, match="no such bucket"):
        prove_conditional_writes(open_store("s3://no-such-bucket-at-all"))


@pytest.mark.radosgw
def test_wrong_credentials_are_one_clear_error(radosgw_url, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    with pytest.raises(StorageError, match="does not accept these credentials") as caught:
        open_store(radosgw_url).require_root()
    assert not caught.value.retryable
    monkeypatch.undo()


@pytest.mark.usefixtures("moto_url")
def test_a_server_that_is_not_there_is_a_retryable_error(moto_url, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("REFOLD_STORE_ATTEMPTS", "2")
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        open_store(moto_url).require_root()
    assert caught.value.retryable


def test_a_store_that_ignores_if_none_match_is_refused(moto, moto_url, monkeypatch):
    with proxy(moto, drop=["If-None-Match"]) as liar:
        monkeypatch.setenv("AWS_ENDPOINT_URL", liar.url)
        store = open_store(f"{moto_url}/archive")
        with pytest.raises(StorageError, match="does not honour conditional writes") as caught:
            prove_conditional_writes(store)
        assert not caught.value.retryable
        assert list(store.list()) == []


def test_errors_slowdowns_and_cut_bodies_are_tried_again(moto, moto_url, monkeypatch):
    happened: Counter[str] = Counter()
    turns = itertools.cycle(["500", None, "503", None, "cut body", None, None])

    def faults(_method: str, _path: str):
        fault = next(turns)
        happened[str(fault)] += 1
        return fault

    with proxy(moto, faults=faults) as flaky:
        monkeypatch.setenv("AWS_ENDPOINT_URL", flaky.url)
        store = open_store(f"{moto_url}/a")
        for number in range(12):
            store.put(f"{number:02}", b"x" * 5000)
        assert all(store.get(f"{number:02}") == b"x" * 5000 for number in range(12))
        assert len(list(store.list())) == 12
    assert min(happened["500"], happened["503"], happened["cut body"]) > 1


def test_a_create_whose_answer_was_lost_is_stored_once(moto, moto_url, monkeypatch):
    lose = iter(["lost answer"])

    def faults(method: str, _path: str):
        return next(lose, None) if method == "PUT" else None

    with proxy(moto, faults=faults) as flaky:
        monkeypatch.setenv("AWS_ENDPOINT_URL", flaky.url)
        store = open_store(moto_url)
        assert not store.put_new("a", b"data")  # the second try met the first
        assert store.get("a") == b"data"


def test_errors_that_never_end_are_reported_as_worth_a_later_try(moto, moto_url, monkeypatch):
    monkeypatch.setenv("REFOLD_STORE_ATTEMPTS", "2")
    with proxy(moto, faults=lambda *_: "503") as broken:
        monkeypatch.setenv("AWS_ENDPOINT_URL", broken.url)
        store = open_store(moto_url)
        for action in (
            lambda: store.get("a"),
            lambda: store.put("a", b""),
            lambda: list(store.list()),
        ):
            with pytest.raises(StorageError, match="SlowDown") as caught:
                action()
            assert caught.value.retryable
            assert not isinstance(caught.value, ObjectNotFoundError)


def test_deltalake_gets_the_endpoint_and_the_credentials_of_the_environment(moto, moto_url):
    options = open_store(f"{moto_url}/a").delta_options()
    assert options["AWS_ENDPOINT_URL"].rstrip("/") == moto.url
    assert options["AWS_ACCESS_KEY_ID"] == "testing"
    assert options["AWS_ALLOW_HTTP"] == "true"


def test_a_profile_serves_as_well_as_the_environment(moto, moto_url, monkeypatch, tmp_path):
    for name in moto.environment:
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(
        f"[profile lab]\nregion = eu-west-1\nendpoint_url = {moto.url}\n"
        "aws_access_key_id = from-profile\naws_secret_access_key = secret\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    store = open_store(f"{moto_url}/a")
    store.put("k", b"v")
    assert store.get("k") == b"v"
    options = store.delta_options()
    assert options["AWS_ENDPOINT_URL"].rstrip("/") == moto.url
    assert (options["AWS_ACCESS_KEY_ID"], options["AWS_REGION"]) == ("from-profile", "eu-west-1")


def test_large_objects_go_in_parts_and_begun_uploads_are_removed(s3_server, s3_url, monkeypatch):
    monkeypatch.setattr(s3_multipart, "WHOLE_BYTES", 6 * 2**20)
    monkeypatch.setattr(s3_multipart, "PART_BYTES", 5 * 2**20)  # S3 takes no smaller ones
    store = open_store(f"{s3_url}/photos")
    data = os.urandom(11 * 2**20 + 1)
    requests.drain()
    store.put("large ü.png", data)
    assert requests.drain() == {"write": 5}  # begin, three parts, complete
    assert store.get("large ü.png") == data
    client, bucket = s3_server.client(), s3_url.removeprefix("s3://")
    client.create_multipart_upload(Bucket=bucket, Key="photos/left.png")
    client.create_multipart_upload(Bucket=bucket, Key="elsewhere/not-ours.png")
    now = datetime.now(UTC)
    if s3_server.name != "moto":  # which tells one date of all uploads
        assert store.remove_unfinished(now - timedelta(hours=1)) == ()
    (found,) = store.remove_unfinished(now + timedelta(hours=1), dry_run=True)
    assert store.remove_unfinished(now + timedelta(hours=1)) == (found,)
    (left,) = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert left["Key"] == "elsewhere/not-ours.png"


def test_an_upload_in_parts_that_fails_leaves_nothing(moto, moto_url, monkeypatch):
    monkeypatch.setattr(s3_multipart, "WHOLE_BYTES", 6 * 2**20)
    monkeypatch.setattr(s3_multipart, "PART_BYTES", 5 * 2**20)
    monkeypatch.setenv("REFOLD_STORE_ATTEMPTS", "1")

    def faults(method: str, path: str):
        return "500" if method == "PUT" and "partNumber=2" in path else None

    with proxy(moto, faults=faults) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        with pytest.raises(StorageError, match="cannot write large"):
            open_store(moto_url).put("large.png", bytes(11 * 2**20))
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.url)
    assert open_store(moto_url).remove_unfinished(datetime.now(UTC) + timedelta(hours=1)) == ()
    assert list(open_store(moto_url).list()) == []


def test_every_attempt_is_counted_and_priced(moto, moto_url, monkeypatch):
    turns = itertools.count()
    with proxy(moto, faults=lambda *_: "503" if next(turns) == 0 else None) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        store = open_store(moto_url)
        requests.drain()
        store.put("a", b"1")
        store.get("a")
        store.exists("b")
        list(store.list())
        store.delete("a")
    sent = requests.drain()
    assert sent == {"delete": 1, "list": 1, "read": 2, "write": 2}
    assert requests.cost(sent) == pytest.approx(3 * 5e-6 + 2 * 4e-7)
    assert billed(sent) == {"S3 requests": "1 delete, 1 list, 2 read, 2 write: about $0.0000"}
