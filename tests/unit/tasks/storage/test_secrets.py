"""Credentials in an address are refused before anything can record them, and never shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rescaling_core.errors import UsageError
from tasks.storage import StorageError, open_store
from tasks.storage.secrets import masked, refuse_credentials

SECRET = "wJalrXUtnFEMI"

WITH_CREDENTIALS = (
    f"http://user:{SECRET}@host/photos",
    f"https://{SECRET}@host/photos",
    f"https://user:{SECRET}@host:8443/photos?x=1",
    f"s3://AKIAEXAMPLE:{SECRET}@bucket/prefix",
    f"s3://AKIAEXAMPLE:{SECRET}/K7MDENG@bucket/prefix",
    f"s3a://AKIAEXAMPLE:{SECRET}+x=@bucket",
    f"s3://{SECRET}@bucket",
    f"ftp://user:{SECRET}@host/photos",
    f"sftp://user:{SECRET}@host:22/photos",
    f"smb://domain;user:{SECRET}@host/share",
    f"https://bucket.s3.amazonaws.com/a?X-Amz-Credential={SECRET}%2F20260101",
    f"https://bucket.s3.amazonaws.com/a?X-Amz-Date=1&X-Amz-Signature={SECRET}",
    f"https://bucket.s3.amazonaws.com/a?AWSAccessKeyId=A&Signature={SECRET}",
    f"https://storage.googleapis.com/b/a?X-Goog-Signature={SECRET}",
    f"https://account.blob.core.windows.net/c/a?sv=2020&sig={SECRET}",
    f"https://host/a?access_token={SECRET}",
    f"https://host/a#token={SECRET}",
    f"https://host/a?api_key={SECRET}",
    f"simplecache::https://user:{SECRET}@host/photos",
    f"zip://a.png::https://user:{SECRET}@host/photos.zip",
)

WITHOUT = (
    "photos",
    "./photos?token=1",
    "/data/a:b@c/photos",
    "file:///data/a:b@c",
    "s3://bucket/prefix",
    "s3://bucket/what?author=me",
    "s3://bucket/mail@home/a:b",
    "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/photos/prefix",
    "abfs://container@account.dfs.core.windows.net/photos",
    "http://localhost:9000/photos/me@home",
    "sftp://user@host/photos",
    "https://host/photos?design=3&page=2",
    "memory://archive",
)


@pytest.mark.parametrize("address", WITH_CREDENTIALS)
def test_an_address_with_credentials_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(UsageError, match="by the environment") as caught:
        open_store(address)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("address", WITHOUT)
def test_an_address_without_credentials_is_taken_as_it_is(address: str) -> None:
    refuse_credentials(address)
    message = f"{address}: cannot read a@b.png: no such object"
    assert masked(message) == message


@pytest.mark.parametrize("address", WITH_CREDENTIALS)
def test_no_error_of_a_store_shows_them(address: str) -> None:
    assert SECRET not in str(StorageError(f"cannot connect to {address}: refused"))


COMMANDS = (
    ("archive", "{address}", "{folder}/archive"),
    ("archive", "{folder}", "{address}"),
    ("restore", "{address}", "{folder}/out", "--all"),
    ("restore", "{folder}", "{address}", "--all"),
    ("backfill", "{address}", "--target", "x2"),
    ("backfill", "{folder}", "--source", "{address}", "--target", "x2"),
    ("scrub", "{address}"),
    ("retire", "{address}", "{folder}", "--older-than", "30d"),
    ("rebuild", "{address}"),
    ("maintain", "{address}"),
    ("report", "{address}"),
    ("export", "{address}", "{folder}/out", "--folder"),
    ("export", "{folder}", "{address}", "--folder"),
    ("plan", "{address}"),
    ("ls", "{address}"),
    ("show", "{address}", "a"),
)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_that_is_given_them_leaves_them_nowhere(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    address = f"s3://AKIAEXAMPLE:{SECRET}@bucket/prefix"
    words = [word.format(address=address, folder=tmp_path) for word in command]
    ran = subprocess.run(
        [sys.executable, "-m", "flows.cli", *words],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "PYTHONPATH": ":".join(sys.path),
            "TMPDIR": str(tmp_path),
        },
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 2, ran.stderr
    left = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert all(SECRET.encode() not in found for found in (ran.stdout, ran.stderr, *left))
