"""Listing a collection into Arrow batches."""

from __future__ import annotations

import pyarrow as pa
import pytest

from rescaling_core.errors import UsageError
from tasks.collection import listing as inventory
from tasks.storage import open_store


@pytest.fixture
def collection(tmp_path):
    store = open_store(str(tmp_path / "photos"))
    for key in ("b.jpg", "a/1.png", "a/raw/2.PNG", "a.txt", "z/é ü.jpg"):
        store.put_new(key, key.encode())
    return store


def _keys(batches) -> list[str]:
    return [key for batch in batches for key in batch.column("key").to_pylist()]


def test_all_objects_are_listed_sorted_with_size_and_etag(collection):
    (batch,) = inventory.scan(collection)
    assert batch.schema == inventory.SCHEMA
    assert batch.column("key").to_pylist() == [
        "a.txt",
        "a/1.png",
        "a/raw/2.PNG",
        "b.jpg",
        "z/é ü.jpg",
    ]
    assert batch.column("size").to_pylist()[0] == len("a.txt")
    assert batch.column("etag").to_pylist()[0] == collection.info("a.txt").etag


def test_batches_are_full_but_the_last(collection):
    batches = list(inventory.scan(collection, batch_rows=2))
    assert [batch.num_rows for batch in batches] == [2, 2, 1]
    assert pa.Table.from_batches(batches).num_rows == 5


def test_globs_choose_and_cross_folders(collection):
    assert _keys(inventory.scan(collection, include=["a/*"])) == ["a/1.png", "a/raw/2.PNG"]
    assert _keys(inventory.scan(collection, include=["*.jpg", "*.txt"], exclude=["z/*"])) == [
        "a.txt",
        "b.jpg",
    ]


def test_an_empty_collection_has_no_batches(tmp_path):
    (tmp_path / "empty").mkdir()
    assert list(inventory.scan(open_store(str(tmp_path / "empty")))) == []


def test_an_empty_glob_is_refused(collection):
    with pytest.raises(UsageError, match="empty glob"):
        list(inventory.scan(collection, include=[""]))
