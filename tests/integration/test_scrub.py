"""Damage in an archive is found, never restored silently, and repaired from sound sources only."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from rescaling_core.errors import UsageError
from tasks.catalog import Archived
from tasks.catalog import digests as fixity
from tasks.catalog.upkeep import keep_up
from tasks.control.record import Counts, JobRun, write_run
from tasks.control.run import Run
from tasks.jobs.restore.requests import NotRestored, RestorationJob, RestoreRequest
from tasks.jobs.restore.worker import Restorer
from tasks.jobs.scrub import steps as scrubbing
from tasks.jobs.scrub.repair import Repairer
from tasks.jobs.scrub.scope import Scope
from tasks.jobs.scrub.tally import ScrubTally
from tasks.jobs.scrub.worker import Check, Inspector
from tasks.renditions.inspection import Finding
from tests.command import RefoldHere
from tests.small_archive import HerePool, SmallArchive, copied, small_archive


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    small_archive(str(root), root, 2, ("x2", "long-edge=16"))
    return root


@pytest.fixture
def made(template: Path, tmp_path: Path) -> SmallArchive:
    """A copy that may be damaged; times of files, and so etags, are kept."""
    return copied(template, tmp_path)


def _inspect(made: SmallArchive, *, restore: bool = False) -> list[Finding]:
    checks = [Check(row, restore=restore) for row in made.rows()]
    return Inspector(made.archive_url).inspect(checks)


def _flip(made: SmallArchive, lr_key: str, bit: int) -> None:
    data = bytearray(made.archive.get(lr_key))
    data[bit // 8] ^= 1 << bit % 8
    made.archive.put(lr_key, bytes(data))


def test_a_sound_archive_has_no_findings(made: SmallArchive) -> None:
    assert _inspect(made, restore=True) == []


def test_every_flipped_bit_is_found_and_none_is_restored(made: SmallArchive) -> None:
    rows = made.rows()
    inspector = Inspector(made.archive_url)
    out = made.archive_url + "-out"
    restorer = Restorer(
        RestorationJob(archive_url=made.archive_url, destination_url=out, overwrite=False)
    )
    draw = random.Random(7)
    for i in range(100):
        row = draw.choice(rows)
        bit = draw.randrange((row.lr_bytes or 0) * 8)
        _flip(made, row.lr_key, bit)
        (found,) = inspector.inspect([Check(row, restore=True)])
        assert (found.lr_key, found.problem) == (row.lr_key, "digest")
        request = RestoreRequest(
            source_key=row.source_key,
            place=row.place,
            metadata_json=row.metadata_json or "",
            output_key=f"{i}.png",
        )
        assert isinstance(restorer.restore(request), NotRestored)
        _flip(made, row.lr_key, bit)
    assert not Path(out).exists()
    assert _inspect(made) == []


def _catalog_files(made: SmallArchive) -> list[str]:
    """What the newest version of the catalog's tables is read from."""
    files = []
    for table in made.catalog.tables:
        prefix = table.uri.removeprefix(made.archive_url + "/")
        paths = pa.table(table.current().get_add_actions(flatten=True)).column("path").to_pylist()
        files += [f"{prefix}/{path}" for path in paths]
        files += [info.key for info in made.archive.list(f"{prefix}/_delta_log/0")]
    return files


def test_every_flipped_bit_in_a_file_of_the_catalog_is_found(made: SmallArchive) -> None:
    find = scrubbing.check_catalog_files.fn
    assert find(made.archive_url) == []
    files = _catalog_files(made)
    assert len({key.rpartition(".")[2] for key in files}) == 2, "data and log"
    draw = random.Random(11)
    for _ in range(100):
        key = draw.choice(files)
        bit = draw.randrange(len(made.archive.get(key)) * 8)
        _flip(made, key, bit)
        assert [(item.lr_key, item.problem) for item in find(made.archive_url)] == [
            (key, "catalog")
        ]
        _flip(made, key, bit)
    assert find(made.archive_url) == []
    (digests,) = (info.key for info in made.archive.list(fixity.LEDGER))
    _flip(made, digests, 8 * 40)
    assert [item.lr_key for item in find(made.archive_url)] == [digests]


def test_notes_of_digests_follow_the_files(made: SmallArchive) -> None:
    made.catalog.commit_shard("s", [replace(made.rows()[0], source_key="another")])
    store = made.archive
    assert len(fixity.table_files(store)) - len(fixity.read_digests(store)) == 2, (
        "of a run still going on"
    )
    assert scrubbing.check_catalog_files.fn(made.archive_url) == []
    keep_up(made.catalog, timedelta(0))  # compacts, and removes what is replaced
    assert fixity.append_digests(store, "maintain-1") > 0
    assert fixity.append_digests(store, "maintain-1") == 0
    fixity.merge_digests(store, "maintain-1")
    assert len(list(store.list(fixity.LEDGER))) == 1
    assert sorted(fixity.read_digests(store)) == sorted(fixity.table_files(store))
    assert scrubbing.check_catalog_files.fn(made.archive_url) == []


def test_missing_cut_and_swapped_objects_are_told_apart(made: SmallArchive) -> None:
    first, second, third, fourth = (row.lr_key for row in made.rows())
    made.archive.delete(first)
    made.archive.put(second, made.archive.get(second)[:-1])
    swapped = made.archive.get(fourth)
    made.archive.put(third, swapped[: len(made.archive.get(third))])
    assert [found.problem for found in _inspect(made)][:2] == ["missing", "size"]
    assert len(_inspect(made)) == 3


@pytest.mark.parametrize(
    ("column", "value"),
    [("psnr_y", 99.0), ("source_etag", "other"), ("scale", 3.0), ("metadata_json", "{}")],
)
def test_a_catalog_row_that_was_tampered_with_is_found(
    made: SmallArchive, column: str, value: object
) -> None:
    row = replace(made.rows()[1], **{column: value})
    (found,) = Inspector(made.archive_url).inspect([Check(row)])
    assert found.problem == "metadata"


def _repair(made: SmallArchive) -> ScrubTally:
    rows = scrubbing.damaged_rows.fn(made.catalog, _inspect(made))
    pool = HerePool(Repairer(made.source_url, made.archive_url, "repair-1").repair)
    return scrubbing.repair_rows.fn(rows, pool, made.catalog)


def test_damaged_renditions_are_made_again_from_unchanged_sources(made: SmallArchive) -> None:
    before = made.rows()
    for row in before:
        _flip(made, row.lr_key, 801)
    done = _repair(made)
    assert (done.repaired, done.not_repaired) == (4, ())
    after = made.rows()
    assert len(after) == len(before) == 4
    assert [(r.source_key, r.target, r.source_etag) for r in after] == [
        (r.source_key, r.target, r.source_etag) for r in before
    ]
    assert {row.run_id for row in after} == {"repair-1"}
    assert _inspect(made, restore=True) == []


def test_nothing_is_repaired_from_a_source_that_changed_or_is_gone(made: SmallArchive) -> None:
    for row in made.rows():
        _flip(made, row.lr_key, 801)
    changed, gone = sorted({row.source_key for row in made.rows()})
    made.source.put(changed, made.source.get(changed) + b"more")
    made.source.delete(gone)
    before = made.rows()
    done = _repair(made)
    assert (done.repaired, len(done.not_repaired)) == (0, 4)
    reasons = " ".join(item.reason for item in done.not_repaired)
    assert "has changed" in reasons
    assert "no object" in reasons
    assert made.rows() == before


def test_parts_make_up_the_archive_and_samples_rotate(made: SmallArchive) -> None:
    template = made.rows()[0]

    class Many:
        def archived(self) -> list[Archived]:
            return [replace(template, lr_key=f"renditions/x2/{i}/d.png") for i in range(2000)]

    def keys(turn: int, scope: Scope, *, restored: bool = False) -> set[str]:
        checks = scrubbing.checks_of(Many(), scope, turn)  # type: ignore[arg-type]
        return {check.row.lr_key for check in checks if check.restore or not restored}

    parts = [keys(turn, Scope(parts=4)) for turn in range(4)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 2000
    assert all(400 < len(part) < 600 for part in parts)
    assert keys(4, Scope(parts=4)) == parts[0]
    tenth = [keys(turn, Scope(sample=0.1), restored=True) for turn in range(2)]
    assert all(140 < len(sample) < 260 for sample in tenth)
    assert tenth[0] != tenth[1]
    assert keys(0, Scope(sample=0), restored=True) == set()
    assert len(keys(0, Scope(sample=1), restored=True)) == 2000
    for wrong in ({"sample": 1.5}, {"sample": -0.1}, {"parts": 0}):
        with pytest.raises(UsageError):
            Scope(**wrong)  # type: ignore[arg-type]


def test_turns_are_counted_by_the_runs_there_were(made: SmallArchive) -> None:
    assert scrubbing.round_of(made.catalog) == 0
    write_run(made.catalog, JobRun(job="scrub", run_id="s-1", parameters={}), Counts())
    assert scrubbing.round_of(made.catalog) == 1


def test_an_archive_on_s3_is_scrubbed_wave_by_wave(tmp_path: Path, moto_url: str) -> None:
    made = small_archive(moto_url, tmp_path, 2)
    _flip(made, made.rows()[1].lr_key, 801)
    pool = HerePool(Inspector(made.archive_url).inspect)
    run = Run("scrub", ScrubTally(), {})
    checks = scrubbing.checks_of(made.catalog, Scope(sample=1), 0)
    for wave in run.waves(checks, cut=2, at_least=1):
        run.add(scrubbing.scrub_wave.fn(wave, pool))
    assert (run.tally.checked, run.tally.restored) == (2, 2)
    assert [found.lr_key for found in run.tally.findings] == [made.rows()[1].lr_key]


@pytest.mark.slow
def test_the_command_finds_and_repairs(made: SmallArchive, all_here: RefoldHere) -> None:
    damaged = made.rows()[0].lr_key
    _flip(made, damaged, 801)
    found = all_here("scrub", made.archive_url, "--sample", "1", "--json")
    assert found.code == 1, found.err
    assert (found.json["checked"], found.json["restored"], found.json["damaged"]) == (4, 4, 1)
    assert found.json["findings"][0]["lr_key"] == damaged
    mended = all_here("scrub", made.archive_url, "--repair", made.source_url, "--json")
    assert mended.code == 0, mended.err
    assert (mended.json["repaired"], mended.json["damaged"]) == (1, 0)
    assert _inspect(made, restore=True) == []
    file = _catalog_files(made)[0]
    _flip(made, file, 801)
    found = all_here("scrub", made.archive_url, "--json")
    assert found.code == 1, found.err
    assert [(item["lr_key"], item["problem"]) for item in found.json["findings"]] == [
        (file, "catalog")
    ]
