"""Archives whose LR files lie in packs: every job once, and what damage does to them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rescaling_core.photo import decode_photo
from tasks.catalog import Archived, CatalogRow, open_catalog
from tasks.collection.shards import SourceObject
from tasks.control.run import Wave
from tasks.datasets import ArchiveDataset
from tasks.jobs.backfill.steps import gaps_of
from tasks.jobs.backfill.worker import Backfiller, BackfillJob
from tasks.jobs.maintain import steps as maintenance
from tasks.jobs.rebuild import steps as rebuilding
from tasks.jobs.rebuild.tally import RebuildTally
from tasks.jobs.report.previews import show
from tasks.jobs.restore.requests import NotRestored, RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer, restore_lr_file
from tasks.jobs.retire.worker import Claim, Proven, Verifier
from tasks.jobs.scrub.repair import Repaired, Repairer
from tasks.jobs.scrub.steps import commit_repair, damaged_rows
from tasks.jobs.scrub.worker import Check, Inspector
from tasks.plans.options import PlanOptions, build_plan
from tasks.renditions import packs
from tasks.renditions.archive import Archive
from tasks.renditions.inspection import Finding
from tasks.storage.local import LocalStore
from tests.command import photograph
from tests.faults.undisturbed import SABOTAGE
from tests.servers.endpoint import S3Endpoint
from tests.small_archive import SmallArchive, copied

PLAN = """
[[targets]]
target = "x2"
store = "packs"
candidates = [{ rescaler = "irn-x2-lite", codec = "png" }]

[[targets]]
target = "long-edge=32"
"""
"""Restorable files in packs, previews each for itself."""

ONLY_PACKS = PLAN.partition("\n\n")[0]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five photographs, archived into packs; tests take a copy."""
    folder = tmp_path_factory.mktemp("packs")
    made = SmallArchive(f"{folder}/photos", f"{folder}/archive")
    for number in range(5):
        _add_photo(made, f"roll {number % 2}/photo {number}.png", folder, number)
    made.run(plan=PLAN)
    return folder


@pytest.fixture
def made(template: Path, tmp_path: Path) -> SmallArchive:
    return copied(template, tmp_path)


def _add_photo(made: SmallArchive, key: str, scratch: Path, number: int) -> None:
    photograph("chelsea", 40, 48, 30 + 5 * number, 60 + 7 * number).save(scratch / "photo.png")
    made.source.put(key, (scratch / "photo.png").read_bytes())


def _packed(made: SmallArchive) -> list[Archived]:
    """The rows of what lies in packs."""
    return [row for row in made.catalog.archived() if row.pack_key is not None]


def _scrubbed(made: SmallArchive, *, restore: bool = True) -> list[Finding]:
    checks = [Check(row, restore) for row in made.catalog.archived()]
    return Inspector(made.archive_url).inspect(checks)


def _packs(made: SmallArchive) -> dict[Path, list[Archived]]:
    """The rows of each pack, in the order of the files in it."""
    found: dict[Path, list[Archived]] = {}
    for row in sorted(_packed(made), key=lambda row: row.pack_offset or 0):
        found.setdefault(Path(made.archive_url) / (row.pack_key or ""), []).append(row)
    return found


def _pack_of_two(made: SmallArchive) -> tuple[Path, Archived, Archived]:
    """A pack that holds two files, and their rows in order."""
    return next((path, *rows) for path, rows in _packs(made).items() if len(rows) == 2)


def _restored(made: SmallArchive, folder: Path) -> dict[str, Restored | NotRestored]:
    """What a restore run answers, by source key."""
    requests, _ = made.requests(target="x2")
    job = RestorationJob(archive_url=made.archive_url, destination_url=str(folder), overwrite=False)
    restorer = Restorer(job)
    return {request.source_key: restorer.restore(request) for request in requests}


def test_the_files_of_a_shard_lie_in_one_pack_and_the_other_target_in_objects(
    made: SmallArchive,
) -> None:
    rows = list(made.catalog.archived())
    assert {row.pack_key is not None for row in rows if row.target == "x2"} == {True}
    assert {row.pack_key is not None for row in rows if row.target != "x2"} == {False}
    assert sorted(map(len, _packs(made).values())) == [1, 2, 2]  # as the run cut its shards
    assert {row.pack_key for row in _packed(made)} == {
        info.key for info in made.archive.list(packs.PREFIX)
    }
    assert [info.key for info in made.archive.list("renditions/x2/")] == []
    assert len(list(made.archive.list("renditions/long-edge=32/"))) == 5


def test_tar_gives_the_plain_files_that_an_archive_without_packs_holds(
    made: SmallArchive, tmp_path: Path
) -> None:
    out = tmp_path / "unpacked"
    out.mkdir()
    for path in _packs(made):
        subprocess.run(["tar", "xf", path, "-C", out], check=True)
    files = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    rows = {row.lr_key: row for row in _packed(made)}
    assert files.keys() == rows.keys()
    for name, path in files.items():
        row = rows[name]
        assert path.read_bytes() == Archive(made.archive_url).lr_file(row)
    one = restore_lr_file(str(path), str(tmp_path / "restored"), overwrite=False)
    assert one.source_key == row.source_key


def test_packs_that_are_unpacked_in_their_archive_are_an_archive_without_packs(
    made: SmallArchive,
) -> None:
    for path in _packs(made):
        subprocess.run(["tar", "xmf", path, "-C", made.archive_url], check=True)
    shutil.rmtree(f"{made.archive_url}/packs")
    shutil.rmtree(f"{made.archive_url}/catalog")
    tally = _rebuild(made)
    assert (tally.added, tally.unreadable, _packed(made)) == (10, (), [])
    assert _scrubbed(made) == []


def test_the_documented_program_finds_any_lr_file_by_the_catalog_alone(
    made: SmallArchive, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
    (text,) = re.findall(r'```python title="lr_file.py"\n(.*?)```', page, re.DOTALL)
    program = tmp_path / "lr_file.py"
    program.write_text(text)
    for target in ("x2", "long-edge=32"):
        row = Archive(made.archive_url).row("roll 1/photo 3.png", target)
        command = [sys.executable, program, made.archive_url, row.source_key, target]
        ran = subprocess.run(command, check=True, capture_output=True)
        assert ran.stdout == Archive(made.archive_url).lr_file(row)


def test_every_reader_reads_from_packs(made: SmallArchive, tmp_path: Path) -> None:
    sources = {info.key: decode_photo(made.source.get(info.key)) for info in made.source.list()}
    answers = _restored(made, tmp_path / "out")
    assert answers.keys() == sources.keys()
    assert {type(one) for one in answers.values()} == {Restored}
    archive = Archive(made.archive_url)
    dataset = ArchiveDataset(made.archive_url, size="hr")
    assert len(dataset) == 5
    for row, sample in zip(_packed(made), dataset, strict=True):
        restored = archive.restore(row.source_key)
        mean = np.abs(restored.pixels.astype(int) - sources[row.source_key].pixels).mean()
        assert mean < 12  # levels: the very picture, made from half its side
        assert np.array_equal(np.transpose(sample["image"], (1, 2, 0)), restored.pixels)
        assert show(made.archive, row).refusal is None
    assert _scrubbed(made) == []


def test_retire_proves_what_lies_in_packs(made: SmallArchive) -> None:
    verifier = Verifier(made.source_url, made.archive_url)
    for row in _packed(made):
        source = SourceObject(key=row.source_key, size=row.source_size, etag=row.source_etag)
        rows = tuple(made.catalog.archived(sources=[row.source_key]))
        found = verifier.verify(Claim(source=source, rows=rows))
        assert isinstance(found, Proven), found


def test_a_backfill_writes_packs_and_reads_from_them(made: SmallArchive) -> None:
    shutil.rmtree(made.source_url)  # so that the new target is made from what is restored
    plan = build_plan(
        PlanOptions(plan_toml='[[targets]]\ntarget = "long-edge=16"\nstore = "packs"\n')
    )
    job = BackfillJob(
        source_url=made.source_url, archive_url=made.archive_url, plan=plan, run_id="fill"
    )
    filled = Backfiller(job).fill(list(gaps_of(made.catalog, plan)))
    assert filled.failures == ()
    made.catalog.commit_shard(filled.shard_id, filled.rows)
    rows = [row for row in _packed(made) if row.target == "long-edge=16"]
    assert [len({row.pack_key for row in rows}), len(rows)] == [1, 5]
    assert _scrubbed(made) == []


def _reads_of_packs(patch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each pack is read from now on."""
    read: Counter[str] = Counter()
    for name in ("get", "get_range"):
        whole = getattr(LocalStore, name)

        def counted(store: LocalStore, key: str, *place: int, whole: Any = whole) -> bytes:
            read[key] += key.startswith(packs.PREFIX)
            return bytes(whole(store, key, *place))

        patch.setattr(LocalStore, name, counted)
    return read


def test_a_scrub_reads_files_that_lie_together_by_one_request(
    made: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = _reads_of_packs(monkeypatch)
    assert _scrubbed(made, restore=False) == []
    assert +read == {row.pack_key: 1 for row in _packed(made)}


def _rebuild(made: SmallArchive) -> RebuildTally:
    found = rebuilding.find_lr_files.fn(made.archive)
    made_again = open_catalog(made.archive)
    tally = rebuilding.rebuild_wave.fn(Wave(1, found.files), made.archive, made_again, "again")
    return tally + RebuildTally(unreadable=found.unreadable)


def test_packs_alone_are_enough_to_make_their_rows_again(made: SmallArchive) -> None:
    before = made.rows()
    shutil.rmtree(f"{made.archive_url}/catalog")
    tally = _rebuild(made)
    assert (tally.added, tally.unreadable) == (10, ())

    def known(row: CatalogRow) -> CatalogRow:
        assert isinstance(row, Archived)
        bare = replace(row, seconds=None, committed_at=None, strategies_json=None)
        return replace(bare, run_id="", shard_id="")

    # The file says what the source's change mark was when it was made.
    marks = {row.source_key: row.source_etag for row in made.rows()}
    assert list(map(known, made.rows())) == [
        replace(known(row), source_etag=marks[row.source_key]) for row in before
    ]
    assert _scrubbed(made) == []


@pytest.mark.parametrize("room", [True, False])
def test_a_rebuild_reads_each_pack_once_where_there_is_room_for_what_it_says(
    made: SmallArchive, room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {row.lr_key: row.metadata_json for row in _packed(made)}
    shutil.rmtree(f"{made.archive_url}/catalog")
    if not room:
        monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    read = _reads_of_packs(monkeypatch)
    tally = _rebuild(made)
    assert (tally.added, tally.unreadable) == (10, ())
    assert {row.lr_key: row.metadata_json for row in _packed(made)} == expected
    assert +read == {
        row.pack_key: 1 if room else 1 + len(rows) for rows in _packs(made).values() for row in rows
    }


def test_a_truncated_pack_is_found_by_member_and_the_others_are_restored(
    made: SmallArchive, tmp_path: Path
) -> None:
    pack, _, second = _pack_of_two(made)
    os.truncate(pack, (second.pack_offset or 0) + 10)
    (found,) = _scrubbed(made)
    assert (found.lr_key, found.problem) == (second.lr_key, "size")
    assert str(pack).endswith(second.pack_key or "?")
    assert f"10 bytes at byte {second.pack_offset} of {second.pack_key}" in found.reason
    answers = _restored(made, tmp_path / "out")
    bad = {key for key, one in answers.items() if isinstance(one, NotRestored)}
    assert bad == {second.source_key}
    shutil.rmtree(f"{made.archive_url}/catalog")
    tally = _rebuild(made)
    assert tally.added == 9
    end, member = sorted(tally.unreadable, key=lambda one: one.lr_key)
    assert (end.lr_key, "cut short" in end.reason) == (second.pack_key, True)
    assert member.lr_key == f"{second.lr_key} in {second.pack_key}"


@pytest.mark.parametrize(
    ("damage", "problem"), [("index", "digest"), ("member", "digest"), ("header", "pack")]
)
def test_a_member_that_is_not_what_its_row_says_is_named_and_made_again(
    made: SmallArchive, tmp_path: Path, damage: str, problem: str
) -> None:
    pack, first, _ = _pack_of_two(made)
    data = bytearray(pack.read_bytes())
    if damage == "index":
        wrong = replace(first, pack_offset=(first.pack_offset or 0) + 7)
        made.catalog.commit_shard("s", [wrong], instead_of=[first.lr_key])
    else:
        data[(first.pack_offset or 0) + {"member": 60, "header": -512 + 148}[damage]] ^= 1
        pack.write_bytes(data)
    (found,) = _scrubbed(made)
    assert (found.lr_key, found.problem) == (first.lr_key, problem)
    answers = _restored(made, tmp_path / "out")
    bad = {key for key, one in answers.items() if isinstance(one, NotRestored)}
    assert bad == (set() if damage == "header" else {first.source_key})
    (row,) = damaged_rows.fn(made.catalog, [found])
    repaired = Repairer(made.source_url, made.archive_url, "repair").repair(row)
    assert isinstance(repaired, Repaired), repaired
    commit_repair(made.catalog, repaired)
    assert _scrubbed(made) == []
    (now,) = made.catalog.archived(sources=[first.source_key], where="target = 'x2'")
    assert now.pack_key is None  # what is made again is an object of its own
    assert made.archive.exists(now.lr_key)


def test_a_pack_stays_as_long_as_one_row_names_it(made: SmallArchive) -> None:
    later = datetime.now(UTC) + timedelta(days=1)

    def garbage() -> list[str]:
        return maintenance.find_garbage.fn(made.archive, made.catalog, later)

    assert garbage() == []
    pack, first, second = _pack_of_two(made)
    repairer = Repairer(made.source_url, made.archive_url, "repair")
    for row, left in ((first, []), (second, [first.pack_key])):
        repaired = repairer.repair(row)
        assert isinstance(repaired, Repaired)
        commit_repair(made.catalog, repaired)
        assert garbage() == left
    maintenance.remove_garbage.fn(made.archive, garbage(), later)
    assert not pack.exists()
    assert _scrubbed(made) == []


def test_a_shard_killed_before_its_commit_leaves_a_pack_that_is_cleared(
    template: Path, tmp_path: Path
) -> None:
    shutil.copytree(template / "photos", tmp_path / "photos")
    made = SmallArchive(f"{tmp_path}/photos", f"{tmp_path}/archive")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([SABOTAGE, *sys.path]),
        "REFOLD_SABOTAGE": "kill:after:put:2",
        "REFOLD_SABOTAGE_MARK": str(tmp_path / "struck"),
    }
    run = f"from tests.small_archive import *; {made!r}.run(plan={ONLY_PACKS!r})"
    killed = subprocess.run([sys.executable, "-c", run], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    committed = {row.pack_key for row in _packed(made)}
    (left,) = {info.key for info in made.archive.list(packs.PREFIX)} - committed
    assert len(committed) == 1
    later = datetime.now(UTC) + timedelta(days=1)
    assert maintenance.find_garbage.fn(made.archive, made.catalog, later) == [left]
    made.run(plan=ONLY_PACKS, run_id="run-2")
    rows = _packed(made)
    assert [row.source_key for row in rows] == [info.key for info in made.source.list()]
    named = {row.pack_key for row in rows}
    assert committed < named
    unnamed = [left] * (left not in named)  # what is left is cut into other shards than before
    assert maintenance.find_garbage.fn(made.archive, made.catalog, later) == unnamed
    maintenance.remove_garbage.fn(made.archive, unnamed, later)
    assert {info.key for info in made.archive.list(packs.PREFIX)} == named
    assert _scrubbed(made) == []


@pytest.mark.slow
def test_packs_on_s3_are_read_by_ranges_and_named_where_they_are_cut_short_or_cold(
    moto: S3Endpoint, moto_url: str, tmp_path: Path
) -> None:
    made = SmallArchive(f"{moto_url}/photos", f"{moto_url}/archive")
    for number in range(5):  # of which the run makes shards of two, and one
        _add_photo(made, f"{number}.png", tmp_path, number)
    made.run(plan=ONLY_PACKS)
    _, second, *others = _packed(made)
    pack = second.pack_key or ""
    made.archive.put(pack, made.archive.get(pack)[: second.pack_offset])
    (cut,) = _scrubbed(made)  # the others are read, and restored
    assert (cut.lr_key, cut.problem) == (second.lr_key, "size")
    bucket, _, prefix = moto_url.removeprefix("s3://").partition("/")
    key = f"{prefix}/archive/{others[0].pack_key}".lstrip("/")
    moto.client().copy_object(
        Bucket=bucket,
        Key=key,
        CopySource={"Bucket": bucket, "Key": key},
        StorageClass="GLACIER",
        MetadataDirective="COPY",
    )
    found = _scrubbed(made, restore=False)
    cold = {one.lr_key for one in found if one.problem == "cold"}
    assert cold == {row.lr_key for row in others if row.pack_key == others[0].pack_key}
    tally = _rebuild(made)
    assert {one.lr_key for one in tally.unreadable} >= {pack, others[0].pack_key}
