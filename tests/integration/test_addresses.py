"""Whatever the file system allows as an archive's address works, or is refused before any work."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest

from rescaling_core.errors import UsageError
from tasks.catalog import open_catalog
from tasks.catalog.trial import try_tables
from tasks.control.opening import open_for_reading, open_for_writing
from tasks.storage import open_store
from tests.command import photograph
from tests.rows import row

WORK = (
    "a*b",
    "a?b",
    "a#b",
    "100% sure",
    "a b",
    "  a  ",
    unicodedata.normalize("NFC", "é"),
    unicodedata.normalize("NFD", "é"),
    "写真",
    "🙂",
    "x" * 240,
    "-leading dash",
    "~",
    "~root",
    "a{b}",
    "a:b",
    "a'b\"c",
    "a;b&c=d+e,f",
    "<a>",
    "$HOME",
    "...",
)
REFUSED = (
    "Photos [2024]",
    "[",
    "a]b",
    "a|b",
    "a^b",
    "a%20b",
    "a%5Bb",
    "a\\b",
    "a\nb",
    "a\tb",
    "\x01",
    "\x7f",
    "\udcff",
    "y" * 300,
)


def _source(folder: Path) -> Path:
    photos = folder / "photos [of] all"
    photos.mkdir()
    photograph("chelsea", 24, 32, 30, 60).save(photos / "a [1].png")
    return photos


@pytest.mark.parametrize("name", WORK)
def test_an_awkward_address_works(name: str, tmp_path: Path) -> None:
    _, archive = open_for_writing.fn(str(_source(tmp_path)), str(tmp_path / name / "arc"))
    kept = row("a [1].png", state="kept", reason="to see it again")
    open_catalog(archive).commit_shard("s", [kept])
    again = open_catalog(open_store(archive.url), create=False)
    assert [one.source_key for one in again.rows()] == ["a [1].png"]
    assert (tmp_path / name / "arc" / "catalog").is_dir()
    assert list(archive.list(".refold-probe")) == []


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("below", ["arc", ""])
def test_an_impossible_address_is_refused_before_anything_is_written(
    name: str, below: str, tmp_path: Path
) -> None:
    source = _source(tmp_path)
    archive = f"{tmp_path}/{name}/{below}".rstrip("/")
    for opened in (open_for_writing.fn, open_for_reading.fn):
        if opened is open_for_reading.fn and name.startswith("y"):
            continue  # nothing is written, so no name is too long
        with pytest.raises((UsageError, OSError)) as caught:
            opened(str(source), archive)
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_prefix_on_s3_is_tried(moto_url: str) -> None:
    for prefix in ("Photos [2024]", "a*b", "a b", "a#b", "é", "a+b", "a|b", "a^b", "a?b"):
        store = open_store(f"{moto_url}/{prefix}/arc")
        try:
            try_tables(store)
        except UsageError as error:
            assert "choose another one" in str(error)  # noqa: PT017 - either will do
        else:
            open_catalog(store)
            assert any(True for _ in store.list("catalog/")), quote(prefix)
        assert list(store.list(".refold-probe")) == []
