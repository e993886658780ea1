"""What lies in a collection that should not stop a run, nor be taken for a source."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.collection.listing import Selection
from tasks.jobs.archive.steps import find_pending, shards_of
from tasks.jobs.archive.worker import ConversionJob, ShardConverter
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import Store, open_store
from tests.rows import error_of, reason_of
from tests.small_archive import SmallArchive, copied, small_archive

pytestmark = pytest.mark.usefixtures("one_thread")

PHOTO = "roll 0/photo 0.png"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    small_archive(str(root), root, 2)
    return root


@pytest.fixture
def made(template: Path, tmp_path: Path) -> SmallArchive:
    return copied(template, tmp_path)


def _states(made: SmallArchive) -> dict[str, tuple[str, str | None]]:
    return {row.source_key: (row.state, error_of(row)) for row in made.rows()}


def _photos(made: SmallArchive) -> Path:
    return Path(made.source_url)


def _pending(made: SmallArchive, **selection: object) -> list[str]:
    plan = build_plan(PlanOptions(targets=("x2",)))
    found = find_pending.fn(made.source, made.catalog, plan, Selection(**selection))  # type: ignore[arg-type]
    return [key for batch in found.batches for key in batch.column("key").to_pylist()]


def test_links_are_accounted_for_and_not_followed_unless_asked(
    made: SmallArchive, tmp_path: Path
) -> None:
    photos, elsewhere = _photos(made), tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(photos / PHOTO, elsewhere / "far.png")
    (photos / "album").symlink_to(elsewhere)
    (photos / "itself").symlink_to("itself")
    (photos / "again.png").symlink_to(PHOTO)
    made.run("x2", run_id="run-2")
    assert _states(made) == {
        "album": ("kept", None),
        "itself": ("kept", None),
        "roll 0/photo 0.png": ("archived", None),
        "roll 1/photo 1.png": ("archived", None),
    }
    reasons = {row.source_key: reason_of(row) for row in made.rows()}
    assert "--follow-links" in reasons["album"]
    assert "leads to itself" in reasons["itself"]
    assert _pending(made) == []
    made.run("x2", run_id="run-3", selection=Selection(follow_links=True))
    assert _states(made)["album/far.png"] == ("archived", None)


def test_a_link_to_the_archive_archives_none_of_it(made: SmallArchive) -> None:
    photos = _photos(made)
    (photos / "arc").symlink_to(made.archive_url)
    (photos / "some.png").symlink_to(Path(made.archive_url) / made.rows()[0].lr_key)
    made.run("x2", run_id="run-2", selection=Selection(follow_links=True))
    states = _states(made)
    assert states["arc"] == states["some.png"] == ("kept", None)
    assert len(states) == 4


def test_a_rendition_is_not_taken_as_a_source_unless_asked(made: SmallArchive) -> None:
    rendition = made.archive.get(made.rows()[0].lr_key)
    made.source.put("copied back.png", rendition)
    made.run("x2", run_id="run-2")
    (row,) = (row for row in made.rows() if row.source_key == "copied back.png")
    assert row.state == "kept"
    assert "--include-renditions" in reason_of(row)
    made.source.put("again.png", rendition)
    made.run("x2", run_id="run-3", selection=Selection(include_renditions=True))
    (row,) = (row for row in made.rows() if row.source_key == "again.png")
    assert "--include-renditions" not in reason_of(row)


@pytest.mark.parametrize("seconds", [-1000, 2**40])
def test_a_time_that_no_calendar_has_is_no_reason_to_stop(made: SmallArchive, seconds: int) -> None:
    path = _photos(made) / "odd time.png"
    shutil.copy(_photos(made) / PHOTO, path)
    os.utime(path, (seconds, seconds))
    made.run("x2", run_id="run-2")
    assert _states(made)["odd time.png"] == ("archived", None)
    assert _pending(made) == []


class _SwappedWhileRead:
    """Replaces a source between the listing and the reading, and puts it back afterwards."""

    def __init__(self, made: SmallArchive, key: str) -> None:
        self.path = Path(made.source_url) / key
        self.aside = self.path.with_name("aside")
        self.other = self.path.with_name("other")

    def swap(self) -> None:
        data = bytearray(self.path.read_bytes())
        data[-1] ^= 1
        times = self.path.stat()
        self.other.write_bytes(bytes(data))
        os.utime(self.other, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.path.rename(self.aside)
        self.other.rename(self.path)

    def put_back(self) -> None:
        self.path.rename(self.other)
        self.aside.rename(self.path)
        self.other.unlink()


def test_a_source_that_is_swapped_and_swapped_back_is_looked_at_again(
    made: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "roll 0/swapped.png"
    shutil.copy(_photos(made) / PHOTO, _photos(made) / key)
    swapped = _SwappedWhileRead(made, key)
    plan = build_plan(PlanOptions(targets=("x2",)))
    pending = find_pending.fn(made.source, made.catalog, plan)
    converter = ShardConverter(
        ConversionJob(
            source_url=made.source_url, archive_url=made.archive_url, plan=plan, run_id="run-2"
        )
    )
    swapped.swap()
    for shard in shards_of(pending, plan, 1):
        made.catalog.commit_shard(shard.shard_id, converter.convert(shard).rows)
    swapped.put_back()
    assert _states(made)[key] == ("quarantined", "SourceChanged")
    assert _pending(made) == [key]
    made.run("x2", run_id="run-3")
    assert _states(made)[key] == ("archived", None)
    assert _pending(made) == []


def test_other_bytes_behind_the_old_size_and_time_are_noticed(made: SmallArchive) -> None:
    before = {row.source_key: row for row in made.rows()}
    path = _photos(made) / PHOTO
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    times = path.stat()
    path.write_bytes(bytes(data))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert _pending(made) == [PHOTO]
    made.run("x2", run_id="run-2")
    (row,) = (row for row in made.rows() if row.source_key == PHOTO)
    assert row.source_sha256 != before[PHOTO].source_sha256


def test_a_file_that_was_only_copied_is_read_and_not_converted_again(
    made: SmallArchive, tmp_path: Path
) -> None:
    before = made.rows()
    shutil.copytree(made.source_url, tmp_path / "moved")
    moved = SmallArchive(f"{tmp_path}/moved", made.archive_url)
    assert _pending(moved) == []
    after = made.rows()
    assert [row.source_etag for row in after] != [row.source_etag for row in before]
    assert [row.lr_key for row in after] == [row.lr_key for row in before]
    reads: list[str] = []
    assert _pending(_Counting(moved, reads)) == []
    assert reads == []


class _Counting(SmallArchive):
    """Notes what is read of the collection."""

    def __init__(self, made: SmallArchive, reads: list[str]) -> None:
        super().__init__(made.source_url, made.archive_url)
        object.__setattr__(self, "_reads", reads)

    @property
    def source(self) -> Store:
        store = open_store(self.source_url)
        real = store.get_version
        store.get_version = lambda key, etag: (self._reads.append(key), real(key, etag))[1]  # type: ignore[attr-defined, method-assign]
        return store


def test_marks_of_an_earlier_release_are_compared_by_its_rule(made: SmallArchive) -> None:
    rows = made.rows()
    bare = [row.source_etag.partition("+")[0] for row in rows]
    made.catalog.commit_shard(
        "old", [_with_etag(row, mark) for row, mark in zip(rows, bare, strict=True)]
    )
    assert [row.source_etag for row in made.rows()] == bare
    assert _pending(made) == []
    os.utime(_photos(made) / PHOTO, ns=(1, 1))
    assert _pending(made) == [PHOTO]


def _with_etag(row: object, etag: str) -> object:
    from dataclasses import replace

    return replace(row, source_etag=etag)  # type: ignore[type-var]


def test_verify_sources_finds_other_bytes_whatever_the_marks_say(made: SmallArchive) -> None:
    from dataclasses import replace

    (first, second) = made.rows()
    wrong = replace(first, source_sha256="0" * 64)
    made.catalog.commit_shard("wrong", [wrong], instead_of=[first.lr_key])
    assert _pending(made) == []
    assert _pending(made, verify_sources=True) == [first.source_key]
    made.run("x2", run_id="run-2", selection=Selection(verify_sources=True))
    assert {row.source_key: row.source_sha256 for row in made.rows()} == {
        first.source_key: first.source_sha256,
        second.source_key: second.source_sha256,
    }


AS_NOBODY = """
import os, sys
import torch
from tests.small_archive import SmallArchive
from tasks.collection.listing import Selection
from tasks.plans.options import PlanOptions, build_plan
build_plan(PlanOptions(targets=("x2",)))
made = SmallArchive(sys.argv[1], sys.argv[2])
assert made.rows()
if os.geteuid() == 0:  # whom no permission stops
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""


@pytest.fixture
def outside(template: Path) -> Iterator[SmallArchive]:
    """An archive where others may go too: what pytest gives only its own user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield copied(template, Path(name))


@pytest.mark.slow
def test_what_cannot_be_read_is_its_own_outcome_and_is_looked_at_again(
    outside: SmallArchive,
) -> None:
    made = outside
    photos = _photos(made)
    for name in ("secret.png", "lost+found/old.png", "open.png"):
        (photos / name).parent.mkdir(exist_ok=True)
        shutil.copy(photos / PHOTO, photos / name)
    for path in (Path(made.archive_url), *Path(made.archive_url).rglob("*")):
        path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o006 | (0o001 if path.is_dir() else 0))
    (photos / "secret.png").chmod(0)
    (photos / "lost+found").chmod(0)
    script = AS_NOBODY + textwrap.dedent(
        """
        made.run("x2", run_id="run-2")
        made.run("x2", run_id="run-3", selection=Selection(exclude=("lost+found/*",)))
        """
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, made.source_url, made.archive_url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    states = _states(made)
    assert states["lost+found/"] == ("quarantined", "FolderUnreadable")
    assert states["secret.png"] == ("quarantined", "ObjectUnreadableError")
    assert states["open.png"] == ("archived", None)
    (photos / "secret.png").chmod(0o644)
    (photos / "lost+found").chmod(0o755)
    assert _pending(made) == ["lost+found/old.png", "secret.png"]
    (row,) = (row for row in made.rows() if row.source_key == "lost+found/")
    assert "Permission denied" in reason_of(row)
