"""What lies inside what, whatever the URLs look like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rescaling_core.errors import UsageError
from tasks.collection.access import refuse_inside_archive, refuse_nested
from tasks.storage import open_store


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "2024").mkdir(parents=True)
    (tmp_path / "way").symlink_to(folder)
    (tmp_path / "deep way").symlink_to(folder / "2024")
    return folder


SPELLINGS = (
    "{0}/photos",
    "{0}/photos/",
    "{0}/photos/archive",
    "{0}/photos/not/there/yet",
    "file://{0}/photos/archive/",
    "local://{0}/photos/2024",
    "{0}/photos/2024/../archive",
    "{0}/elsewhere/../photos/archive",
    "{0}/way/archive",
    "file://{0}/way",
    "{0}/deep way/a/b",
)


@pytest.mark.parametrize("archive", SPELLINGS)
@pytest.mark.parametrize("source", ["{0}/photos", "file://{0}/photos/", "{0}/way"])
def test_an_archive_inside_its_source_is_refused(photos: Path, source: str, archive: str) -> None:
    root = photos.parent
    (root / "elsewhere").mkdir()
    with pytest.raises(UsageError, match="inside the source"):
        refuse_nested(open_store(source.format(root)), open_store(archive.format(root)))


@pytest.mark.parametrize("source", ["{0}/photos/2024", "file://{0}/way/2024", "{0}/deep way"])
def test_a_source_inside_its_archive_is_refused(photos: Path, source: str) -> None:
    root = photos.parent
    with pytest.raises(UsageError, match="inside the archive"):
        refuse_nested(open_store(source.format(root)), open_store(f"{root}/photos"))


def test_neighbours_are_not_nested(photos: Path) -> None:
    for archive in ("photos-archive", "photo", "archive/photos", "2024"):
        refuse_nested(open_store(str(photos)), open_store(f"{photos.parent}/{archive}"))
    refuse_inside_archive(open_store(str(photos)), open_store(f"{photos.parent}/archive"))
    with pytest.raises(UsageError, match="inside the archive"):
        refuse_inside_archive(open_store(f"{photos}/out"), open_store(f"file://{photos}"))


def test_a_relative_path_is_where_it_leads(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos)
    with pytest.raises(UsageError, match="inside the source"):
        refuse_nested(open_store("."), open_store("archive"))
    monkeypatch.chdir(photos / "2024")
    with pytest.raises(UsageError, match="inside the source"):
        refuse_nested(open_store(".."), open_store("."))


def test_a_folder_seen_by_another_name_is_the_same_folder(photos: Path) -> None:
    """As by a bind mount: another path, the same device and inode."""
    other = os.open(photos, os.O_RDONLY)
    try:
        with pytest.raises(UsageError, match="inside the source"):
            refuse_nested(open_store(str(photos)), open_store(f"/proc/self/fd/{other}/archive"))
    finally:
        os.close(other)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("source", "archive"),
    [
        ("s3://bucket", "s3a://bucket/archive"),
        ("s3://bucket/photos/", "s3://bucket/photos"),
        ("s3a://bucket/photos", "s3://bucket/photos/archive/"),
        ("s3://bucket/photos//", "s3://bucket/photos/a"),
    ],
)
@pytest.mark.usefixtures("credentials")
def test_on_s3_bucket_and_prefix_decide(source: str, archive: str) -> None:
    with pytest.raises(UsageError, match="inside the source"):
        refuse_nested(open_store(source), open_store(archive))


@pytest.mark.usefixtures("credentials")
def test_on_s3_another_endpoint_or_bucket_is_another_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refuse_nested(open_store("s3://bucket/photos"), open_store("s3://bucket/photos-archive"))
    refuse_nested(open_store("s3://bucket"), open_store("s3://bucket-2/archive"))
    places = []
    for endpoint in ("http://Store.example:80/", "http://store.example", "http://store.example:81"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        places.append(open_store("s3://bucket/photos").place)
    assert places[0] == places[1] != places[2]
    assert places[0].name == "s3://bucket/photos"
