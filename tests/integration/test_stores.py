"""The contract of a store, kept by every kind of store."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.storage import (
    ObjectChangedError,
    ObjectNotFoundError,
    UnstorableKeyError,
    open_store,
)
from tasks.storage.probe import prove_conditional_writes

HARD_KEYS = (
    "plain.png",
    "with space.jpg",
    "percent %41 100%.png",
    "question?versionId=1.png",
    "hash#1.png",
    "plus+and&amp;<>.png",
    "quotes'\".png",
    "accent é ü ñ.png",
    "zhōng 中文.png",
    "emoji😀.png",
    "UPPER.png",
    "upper.png",
    "deep/er/and/deeper/x.png",
    "~tilde",
    "file:x",
    "a.b",
    "a/b",
)


@pytest.fixture(
    params=[
        "local",
        "memory",
        "moto",
        "moto by s3fs",
        pytest.param("radosgw", marks=pytest.mark.radosgw),
        pytest.param("radosgw by s3fs", marks=pytest.mark.radosgw),
        pytest.param("azurite", marks=pytest.mark.slow),
    ]
)
def url(request, tmp_path, monkeypatch):
    """URL of an empty store of each kind; those on S3 by obstore, unless s3fs is named."""
    kind, _, client = request.param.partition(" by ")
    monkeypatch.setenv("REFOLD_STORE_CLIENT", client or "obstore")
    if request.param == "local":
        return str(tmp_path / "ro ot#1")
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    return request.getfixturevalue(f"{kind}_url") + "/pre fix%#ü"


def test_hard_keys_come_back_as_they_were(url):
    store = open_store(url)
    for key in HARD_KEYS:
        assert store.put_new(key, key.encode())
    assert [info.key for info in store.list()] == sorted(HARD_KEYS)
    for key in HARD_KEYS:
        assert store.get(key) == key.encode()
        info = store.info(key)
        assert (info.key, info.size) == (key, len(key.encode()))
    assert {i.key: i.size for i in store.list()} == {key: len(key.encode()) for key in HARD_KEYS}
    assert [info.key for info in store.list("upper")] == ["upper.png"]


def test_a_part_of_an_object_is_read_as_far_as_the_object_goes(url):
    store = open_store(url)
    store.put("a/b", bytes(range(100)))
    assert store.get_range("a/b", 10, 5) == bytes(range(10, 15))
    assert store.get_range("a/b", 0, 1) == b"\0"
    assert store.get_range("a/b", 90, 2**40) == bytes(range(90, 100))
    assert store.get_range("a/b", 100, 5) == store.get_range("a/b", 10**12, 5) == b""
    with pytest.raises(ObjectNotFoundError):
        store.get_range("a/c", 0, 5)


def test_a_second_create_changes_nothing(url):
    store = open_store(url)
    assert store.put_new("a/b", b"first")
    assert not store.put_new("a/b", b"second")
    assert store.get("a/b") == b"first"
    store.put("a/b", b"third")
    assert store.get("a/b") == b"third"


def test_of_racing_creators_one_wins_and_its_bytes_stay(url):
    store = open_store(url)
    with ThreadPoolExecutor(8) as pool:
        for number in range(5):
            offers = [f"{number}-{racer}".encode() * 1000 for racer in range(8)]
            won = list(pool.map(lambda data, key=f"k{number}": store.put_new(key, data), offers))
            assert sum(won) == 1
            assert store.get(f"k{number}") == offers[won.index(True)]


def test_what_is_not_there_is_said_to_be_missing(url):
    store = open_store(url)
    assert not store.exists("no/such")
    for look in (store.get, store.info):
        with pytest.raises(ObjectNotFoundError, match="no/such"):
            look("no/such")
    with pytest.raises(FileNotFoundError):
        store.get("no/such")
    store.delete("no/such")


def test_an_etag_says_whether_the_content_changed(url):
    store = open_store(url)
    store.put("a", b"one")
    first = store.info("a").etag
    assert first
    assert [info.etag for info in store.list()] == [first]
    store.put("a", b"other")
    assert store.info("a").etag != first


def test_deleted_is_gone_and_neighbours_stay(url):
    store = open_store(url)
    for key in ("a/1", "a/2", "b"):
        store.put(key, b"")
    store.delete("a/1")
    assert [info.key for info in store.list()] == ["a/2", "b"]


def test_the_probe_passes_and_leaves_nothing_behind(url):
    store = open_store(url)
    prove_conditional_writes(store)
    assert list(store.list()) == []


def test_a_store_travels_as_its_url(url):
    store = open_store(url)
    store.put("a", b"data")
    again = pickle.loads(pickle.dumps(store))
    assert again.url == store.url == url
    assert again.get("a") == b"data"


def test_no_key_reaches_outside_the_root(url):
    outer, inner = open_store(url), open_store(f"{url}/inner")
    outer.put("secret", b"outside")
    for key in ("../secret", "./../secret", "/secret"):
        try:
            inner.put_new(key, b"x")
        except UnstorableKeyError:
            continue
        assert inner.get(key) == b"x"  # on S3 the dots mean nothing
    assert outer.get("secret") == b"outside"
    assert all(key.startswith("inner/") or key == "secret" for key in (i.key for i in outer.list()))


def test_only_the_version_that_was_listed_is_read(url):
    store = open_store(url)
    store.put("a.png", b"first")
    (listed,) = store.list()
    assert store.get_version("a.png", listed.etag) == b"first"
    store.put("a.png", b"other")
    with pytest.raises(ObjectChangedError, match=r"a\.png is not what was listed"):
        store.get_version("a.png", listed.etag)
    store.delete("a.png")
    with pytest.raises(ObjectNotFoundError):
        store.get_version("a.png", listed.etag)


def test_a_store_lies_where_it_lies_however_it_is_written(url):
    place = open_store(url).place
    assert open_store(url + "/").place == place
    assert place.holds(open_store(url + "/below/it").place)
    assert not open_store(url + "/below/it").place.holds(place)
    assert not place.holds(open_store(url + "-beside").place)
