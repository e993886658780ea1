"""Packs that `maintain` writes again: what rows name is there at any moment, and so it stays."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rescaling_core.errors import RestorationMismatchError
from tasks.catalog import Archived, Catalog, open_catalog
from tasks.control.run import Wave
from tasks.jobs.maintain import steps as maintenance
from tasks.jobs.maintain.repack import find_rewrites, rewrite_packs, would_rewrite
from tasks.jobs.maintain.tally import MaintainTally
from tasks.jobs.rebuild import steps as rebuilding
from tasks.renditions import emptied, packs, repacking
from tasks.renditions.files import read_lr
from tasks.renditions.inspection import inspect_stored
from tasks.renditions.layout import rendition_key
from tasks.renditions.objects import list_lr_files, newest_of_each
from tasks.renditions.writing import put_pack
from tasks.storage import ObjectNotFoundError, Store, open_store
from tests.command import photograph
from tests.faults.undisturbed import SABOTAGE
from tests.integration.test_object_lock import _locked_bucket
from tests.integration.test_packs import ONLY_PACKS
from tests.rows import row
from tests.servers.endpoint import S3Endpoint
from tests.small_archive import SmallArchive

LONG_AGO = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Places = dict[str, tuple[str | None, int | None]]


@dataclass(frozen=True)
class Packed:
    """An archive of made-up LR files in packs, at a path or on S3."""

    url: str

    @property
    def store(self) -> Store:
        return open_store(self.url)

    @property
    def catalog(self) -> Catalog:
        return open_catalog(self.store)

    def add(self, *names: str, size: int = 20_000, run: str = "r") -> str:
        """Commit sources of these names, their LR files in one pack; its key is returned."""
        contents = {name: _content(name, run, size) for name in names}
        keys = {name: _lr_key(name, content) for name, content in contents.items()}
        files = [(keys[name], content) for name, content in contents.items()]
        pack, offsets = put_pack(self.store, "x2", files)
        rows = [
            row(
                name,
                lr_key=keys[name],
                lr_bytes=len(content),
                lr_sha256=hashlib.sha256(content).hexdigest(),
                source_etag=run,
                pack_key=pack,
                pack_offset=offsets[keys[name]],
                committed_at=LONG_AGO,
            )
            for name, content in contents.items()
        ]
        self.catalog.commit_shard(pack, rows, keep_times=True)
        return pack

    def rows(self) -> list[Archived]:
        return list(self.catalog.archived())

    def places(self) -> Places:
        return {one.source_key: (one.pack_key, one.pack_offset) for one in self.rows()}

    def packs(self) -> set[str]:
        return {info.key for info in self.store.list(packs.PREFIX)}

    def repack(self) -> MaintainTally:
        rewrites = find_rewrites.fn(self.store, self.catalog)
        return rewrite_packs.fn(rewrites, self.store, self.catalog)

    def garbage(self, before: datetime) -> set[str]:
        return set(maintenance.find_garbage.fn(self.store, self.catalog, before))

    def check(self) -> None:
        """Every row names a file that is what it says, and nothing else of it has changed."""
        for one in self.rows():
            assert read_lr(self.store, one.place) == _content(
                one.source_key, one.source_etag, one.lr_bytes
            )
            assert one.committed_at == LONG_AGO


def _content(name: str, run: str, size: int) -> bytes:
    return (hashlib.sha256(f"{name} {run}".encode()).digest() * (size // 32 + 1))[:size]


def _lr_key(name: str, content: bytes) -> str:
    return rendition_key("x2", name, hashlib.sha256(content).hexdigest(), ".png")


def _sparse(url: str) -> Packed:
    """Four files in one pack, of which the sources of three have changed since."""
    made = Packed(url)
    made.add("a", "b", "c", "d")
    made.add("b", "c", "d", run="later")
    return made


def _small(url: str) -> Packed:
    """Five packs of two files each, as small runs leave them."""
    made = Packed(url)
    for number in range(5):
        made.add(f"{number} left", f"{number} right")
    return made


MAKERS = {"sparse": _sparse, "small": _small}


@pytest.fixture(params=["local", "moto"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "archive")
    return str(request.getfixturevalue("moto_url"))


def test_a_pack_of_which_little_is_needed_makes_way_for_a_smaller_one(url: str) -> None:
    made = _sparse(url)
    before = made.rows()
    old = before[0].pack_key
    size = made.store.info(old or "").size
    planned = would_rewrite(find_rewrites.fn(made.store, made.catalog))
    assert made.rows() == before, "planning changes nothing"
    done = made.repack()
    assert done == planned
    assert (done.rewritten_packs, done.written_packs, done.damaged) == (1, 1, ())
    first, *others = made.rows()
    assert first.pack_key not in (old, None)
    assert replace(first, pack_key=old, pack_offset=before[0].pack_offset) == before[0]
    assert others == before[1:]
    assert made.store.info(first.pack_key or "").size + done.freed_bytes == size
    made.check()
    assert made.repack() == MaintainTally(), "it is done"


def test_small_packs_become_one(url: str) -> None:
    made = _small(url)
    done = made.repack()
    assert (done.rewritten_packs, done.written_packs) == (5, 1)
    (pack,) = {one.pack_key for one in made.rows()}
    offsets = [one.pack_offset or 0 for one in made.rows()]
    assert offsets == sorted(offsets), "in the order of keys"
    made.check()
    assert made.repack() == MaintainTally()
    later = datetime.now(UTC) + DAY
    assert made.garbage(later) == made.packs() - {pack}


def test_a_reader_who_holds_an_old_row_has_as_long_as_the_grace_period(tmp_path: Path) -> None:
    made = _sparse(str(tmp_path))
    old, *_ = made.rows()
    for key in made.packs():
        os.utime(tmp_path / key, (1e9, 1e9))  # old enough to go, were it not for its readers
    made.repack()
    before = datetime.now(UTC) - HOUR
    assert made.garbage(before) == set()
    assert read_lr(made.store, old.place) == read_lr(made.store, made.rows()[0].place)
    for info in made.store.list(emptied.PREFIX):
        os.utime(tmp_path / info.key, (1e9, 1e9))  # time passes
    assert made.garbage(before) == {old.pack_key}
    maintenance.forget_emptied.fn(made.store, before)
    assert list(made.store.list(emptied.PREFIX)) == []
    maintenance.remove_garbage.fn(made.store, sorted(made.garbage(before)), before)
    with pytest.raises(ObjectNotFoundError):
        read_lr(made.store, old.place)
    made.check()


def test_a_note_that_nobody_can_read_keeps_nothing_and_stops_nobody(tmp_path: Path) -> None:
    made = _sparse(str(tmp_path))
    for content in (b"", b"[", b"[]", b'{"packs": 5}', b'{"packs": [null]}'):
        made.store.put(f"{emptied.PREFIX}a.json", content)
        assert emptied.emptied_since(made.store, LONG_AGO) == []
    made.check()


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("order", ["before:put:1", "after:put:1", "before:move:1", "after:move:1"])
def test_killed_at_any_step_and_run_again_it_ends_as_if_never_killed(
    kind: str, order: str, tmp_path: Path
) -> None:
    undisturbed, made = (MAKERS[kind](f"{tmp_path}/{name}") for name in ("whole", "killed"))
    undisturbed.repack()
    old = made.packs()
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([SABOTAGE, *sys.path]),
        "REFOLD_SABOTAGE": f"kill:{order}",
        "REFOLD_SABOTAGE_MARK": str(tmp_path / "struck"),
    }
    run = f"from tests.integration.test_repacking import Packed; {made!r}.repack()"
    killed = subprocess.run([sys.executable, "-c", run], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    made.check()
    assert old <= made.packs()
    long_ago = datetime.now(UTC) - HOUR
    assert made.garbage(long_ago) == set()
    made.repack()
    made.check()
    assert made.places() == undisturbed.places()
    assert made.packs() == undisturbed.packs()


def test_a_damaged_file_is_named_and_stays_where_it_is(tmp_path: Path) -> None:
    made = _small(str(tmp_path))
    before = {one.source_key: one for one in made.rows()}
    bad, gone = before["1 left"], before["3 right"]
    data = bytearray((tmp_path / (bad.pack_key or "")).read_bytes())
    data[(bad.pack_offset or 0) + 7] ^= 1
    (tmp_path / (bad.pack_key or "")).write_bytes(data)
    os.truncate(tmp_path / (gone.pack_key or ""), (gone.pack_offset or 0) + 9)
    done = made.repack()
    assert [one.lr_key for one in done.damaged] == [bad.lr_key, gone.lr_key]
    assert bad.pack_key in done.damaged[0].reason
    assert done.troubles == done.damaged
    assert done.rewritten_packs == 3, "the other two are needed still"
    after = {one.source_key: one for one in made.rows()}
    for key, one in after.items():
        if key in ("1 left", "3 right"):
            assert one == before[key]
            with pytest.raises(RestorationMismatchError):
                read_lr(made.store, one.place)
        else:
            assert one.pack_key != before[key].pack_key
            read_lr(made.store, one.place)
    assert made.garbage(datetime.now(UTC) + DAY) == {one.pack_key for one in before.values()} - {
        bad.pack_key,
        gone.pack_key,
    }


def test_a_pack_that_is_gone_stops_no_other(tmp_path: Path) -> None:
    made = _small(str(tmp_path))
    rewrites = find_rewrites.fn(made.store, made.catalog)
    missing = made.places()["2 left"][0]
    made.store.delete(missing or "")
    done = rewrite_packs.fn(rewrites, made.store, made.catalog)
    assert {one.source_key for one in done.damaged} == {"2 left", "2 right"}
    assert done.rewritten_packs == 4


def test_a_row_that_changes_meanwhile_keeps_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _small(str(tmp_path))
    put = repacking.put_pack

    def while_it_is_written(*arguments: object, **options: object) -> object:
        made.add("2 left", run="later")
        return put(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(repacking, "put_pack", while_it_is_written)
    made.repack()
    monkeypatch.undo()
    made.check()
    rows = {one.source_key: one for one in made.rows()}
    assert rows["2 left"].source_etag == "later"
    assert rows["2 left"].pack_key != rows["2 right"].pack_key


def test_two_runs_at_once_end_as_one(tmp_path: Path) -> None:
    made = _small(str(tmp_path))
    rewrites = find_rewrites.fn(made.store, made.catalog)
    (one,) = rewrites.chosen
    files = repacking.files_of(made.catalog, one)
    first, second = (repacking.repack(made.store, "x2", files) for _ in range(2))
    assert first == second
    assert made.catalog.move_files(first.moves)
    assert not made.catalog.move_files(second.moves)
    made.check()


@pytest.mark.usefixtures("moto_url")
def test_a_new_pack_is_locked_as_others_and_an_old_one_stays_until_its_lock_is_over(
    moto: S3Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFOLD_RETENTION", '{"packs/": "GOVERNANCE 30d"}')
    made = _sparse(f"s3://{_locked_bucket(moto)}/archive")
    old = made.places()["a"][0] or ""
    made.repack()
    new = made.store.info(made.places()["a"][0] or "")
    assert new.lock is not None
    assert new.lock.stands
    later = datetime.now(UTC) + DAY
    assert made.garbage(later) == {old}
    left = maintenance.remove_garbage.fn(made.store, [old], later)
    assert left == MaintainTally(locked=1)
    assert made.store.exists(old)


def test_what_was_moved_is_no_newer_to_a_rebuild_than_it_was(tmp_path: Path) -> None:
    made = _small(str(tmp_path))
    later = _content("1 left", "later", 500)
    made.store.put(_lr_key("1 left", later), later)  # of the source that it is today
    made.repack()
    listed = list_lr_files(made.store, lambda _: None, lambda *_: None)
    newest = newest_of_each(listed).to_pylist()
    found = {one["key"]: one["pack_key"] for one in newest}
    rows = {one.lr_key: one.pack_key for one in made.rows() if one.source_key != "1 left"}
    assert found == rows | {_lr_key("1 left", later): None}


def test_real_files_are_sound_after_a_move_and_are_enough_for_a_rebuild(tmp_path: Path) -> None:
    made = SmallArchive(f"{tmp_path}/photos", f"{tmp_path}/archive")
    for number in range(4):
        photograph("chelsea", 40, 48, 30 + 5 * number, 60).save(tmp_path / "photo.png")
        made.source.put(f"{number}.png", (tmp_path / "photo.png").read_bytes())
        made.run(plan=ONLY_PACKS, run_id=f"run-{number}")
    before = made.rows()
    rewrites = find_rewrites.fn(made.archive, made.catalog)
    done = rewrite_packs.fn(rewrites, made.archive, made.catalog)
    assert (done.rewritten_packs, done.written_packs, done.damaged) == (4, 1, ())
    rows = list(made.catalog.archived())
    assert [inspect_stored(made.archive, one) for one in rows] == [None] * 4
    assert [one.committed_at for one in rows] == [one.committed_at for one in before]

    shutil.rmtree(f"{made.archive_url}/catalog")
    found = rebuilding.find_lr_files.fn(made.archive)
    catalog = open_catalog(made.archive)
    tally = rebuilding.rebuild_wave.fn(Wave(1, found.files), made.archive, catalog, "again")
    assert (tally.added, tally.unreadable, found.unreadable) == (4, (), ())
    again = list(made.catalog.archived())
    assert [one.place for one in again] == [one.place for one in rows]
    seconds = [one.committed_at.replace(microsecond=0) for one in rows if one.committed_at]
    assert [one.committed_at for one in again] == seconds
