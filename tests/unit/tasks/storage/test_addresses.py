"""Addresses as people type them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rescaling_core.errors import UsageError
from tasks.storage import open_store
from tasks.storage.addresses import absolute_address
from tasks.storage.local import LocalStore


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("s3:/bucket/x", "s3://bucket/x"),
        ("s3:bucket/x", "s3://bucket/x"),
        ("s3//bucket/x", "colon"),
        ("S3://bucket/x", "s3://bucket/x"),
        (" s3://bucket/x", "s3://bucket/x"),
        ("S3:/bucket/x", "s3://bucket/x"),
        ("s3:\\\\bucket\\x", "s3://bucket"),
        ("s3:///bucket/x", "no bucket"),
        ("s3://", "no bucket"),
        ("s3a:/bucket", "s3a://bucket"),
        ("http:/x/y", "http://x/y"),
        ("https:x/y", "https://x/y"),
        ("file:/data", "file:///data"),
        ("gs:/bucket", "gs://bucket"),
        ("minio:/bucket", "minio://bucket"),
        ("$HOME/arc", "shell"),
        ("${ARCHIVE}", "shell"),
        ("~nobody-of-this-name/arc", "home"),
        ("   ", "empty"),
    ],
)
def test_what_looks_like_a_url_and_is_none_is_refused(typed: str, meant: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(typed)
    assert meant in str(caught.value)
    assert typed.strip() in str(caught.value)


@pytest.mark.parametrize(
    "typed",
    ["a:b", "2024:05/x", "./s3:/bucket", "dir/s3:/b", "photos//x", "./$HOME", "a$b", "x~"],
)
def test_unusual_names_are_still_paths(typed: str) -> None:
    store = open_store(typed)
    assert isinstance(store, LocalStore)
    assert store.root == Path(typed).absolute()


def test_a_quoted_home_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    store = open_store("~/archive")
    assert isinstance(store, LocalStore)
    assert store.root == tmp_path / "archive"


def test_an_absolute_address_is_a_path_from_the_root_on_or_a_url_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    for typed, meant in (
        ("photos", f"{tmp_path}/photos"),
        ("./a b/", f"{tmp_path}/a b"),
        (".", f"{tmp_path}"),
        ("/data/photos", "/data/photos"),
        ("~/photos", "/home/me/photos"),
        ("a:b", f"{tmp_path}/a:b"),
        ("s3://bucket/photos/", "s3://bucket/photos/"),
        ("file:///data/photos", "file:///data/photos"),
    ):
        assert absolute_address(typed) == meant
    for wrong in ("s3:/bucket", "", "~nobody-of-this-name/arc"):
        assert absolute_address(wrong) == wrong
