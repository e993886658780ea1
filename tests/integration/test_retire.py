"""Sources go when they were proven restorable twice, and never else; the journal tells of all."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from rescaling_core.errors import UsageError
from rescaling_core.plan import Floor
from tasks.catalog.journal import Journal
from tasks.collection.access import require_collection
from tasks.collection.listing import EVERYTHING
from tasks.control.run import Wave
from tasks.jobs.backfill import steps as backfilling
from tasks.jobs.backfill.worker import Backfiller, BackfillJob
from tasks.jobs.restore.requests import RestorationJob, Restored
from tasks.jobs.restore.worker import Restorer
from tasks.jobs.retire import actions, steps
from tasks.jobs.retire import worker as verification
from tasks.jobs.retire.check import Request, check
from tasks.jobs.retire.worker import Proven, Unproven, Verifier
from tasks.jobs.scrub.repair import NotRepaired, Repairer
from tasks.plans.options import PlanOptions, build_plan
from tasks.renditions import restoring
from tasks.storage import StorageError, open_store
from tasks.storage.local import LocalStore
from tasks.storage.objects import Surveyed
from tasks.storage.s3 import parts
from tests.command import RefoldHere, photograph
from tests.retirement import retire_once, site_of
from tests.small_archive import HerePool, SmallArchive, copied, small_archive


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    small_archive(str(root), root, 3, ("x2", "long-edge=16"))
    return root


@pytest.fixture
def made(template: Path, tmp_path: Path) -> SmallArchive:
    return copied(template, tmp_path)


class _AMonthAgo(datetime):
    """The clock as it was when marks were set that now are old."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime.now(tz) - timedelta(days=30)


def _keys(made: SmallArchive) -> list[str]:
    return [info.key for info in made.source.list()]


def _events(made: SmallArchive, key: str | None = None) -> list[str]:
    entries = Journal(made.archive).entries()
    return [entry.event for entry in entries if key in (None, entry.source_key)]


def test_sources_are_marked_by_one_run_and_deleted_by_a_later_one(
    made: SmallArchive, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "refold")
    keys, rows = _keys(made), made.rows()
    bytes_of = {key: made.source.get(key) for key in keys}
    assert retire_once(made, dry_run=True).marked == 3
    assert not Journal(made.archive).exists()
    assert retire_once(made).marked == 3
    assert retire_once(made).waiting == 3
    assert retire_once(made, grace=timedelta(0), dry_run=True).deleted == 3
    assert _keys(made) == keys
    assert not [told for told in caplog.messages if told.startswith("deleted")]
    done = retire_once(made, grace=timedelta(0), run_id="last")
    told = sorted(told for told in caplog.messages if told.startswith("deleted"))
    assert [line.split(":")[0] for line in told] == [f"deleted {key}" for key in keys]
    assert (done.deleted, done.deleted_bytes) == (3, sum(map(len, bytes_of.values())))
    assert _keys(made) == []
    assert made.rows() == rows
    account = [entry for entry in Journal(made.archive).entries() if entry.event == "deleted"]
    assert [entry.source_key for entry in account] == keys
    for entry in account:
        assert (entry.run_id, entry.source_size) == ("last", len(bytes_of[entry.source_key]))
        assert entry.source_sha256 == hashlib.sha256(bytes_of[entry.source_key]).hexdigest()
        (row,) = (row for row in rows if row.source_key == entry.source_key and row.psnr_y)
        (proof,) = entry.proofs
        assert (proof.lr_key, proof.lr_sha256) == (row.lr_key, row.lr_sha256)
        assert proof.psnr_y == pytest.approx(row.psnr_y, abs=0.01)
        assert entry.source_etag == row.source_etag
    read = polars.read_delta(f"{made.archive_url}/retirements").sort("at")["event"].to_list()
    assert read == ["marked"] * 3 + ["deleting"] * 3 + ["deleted"] * 3


def test_an_archive_outlives_its_sources(made: SmallArchive, tmp_path: Path) -> None:
    keys = _keys(made)
    retire_once(made)
    retire_once(made, grace=timedelta(0))
    rows = made.rows()
    require_collection(made.source, made.archive)
    made.run("x2", run_id="run-2")  # an archive run: nothing listed, nothing lost
    assert made.rows() == rows
    requests, missing = made.requests(keys)
    restorer = Restorer(
        RestorationJob(
            archive_url=made.archive_url, destination_url=str(tmp_path / "out"), overwrite=False
        )
    )
    assert [type(restorer.restore(request)) for request in requests] == [Restored] * 3
    assert missing == []
    outcome = Repairer(made.source_url, made.archive_url, "r").repair(rows[0])
    assert isinstance(outcome, NotRepaired)
    assert "no object" in outcome.reason
    plan = build_plan(PlanOptions(targets=("long-edge=8",)))
    job = BackfillJob(
        source_url=made.source_url, archive_url=made.archive_url, plan=plan, run_id="b"
    )
    filled = Backfiller(job).fill(list(backfilling.gaps_of(made.catalog, plan)))
    assert (len(filled.rows), filled.failures) == (3, ())


def _never_archived(made: SmallArchive, key: str) -> str:
    made.source.put("roll 0/zz.png", made.source.get(key))
    return "roll 0/zz.png"


def _changed(made: SmallArchive, key: str) -> str:
    made.source.put(key, made.source.get(key) + b"more")
    return key


def _lr_gone(made: SmallArchive, key: str) -> str:
    made.archive.delete(_rendition(made, key))
    return key


def _preview_gone(made: SmallArchive, key: str) -> str:
    made.archive.delete(_rendition(made, key, "long-edge=16"))
    return key


def _lr_flipped(made: SmallArchive, key: str) -> str:
    name = _rendition(made, key)
    data = bytearray(made.archive.get(name))
    data[len(data) // 2] ^= 1
    made.archive.put(name, bytes(data))
    return key


def _kept(made: SmallArchive, key: str) -> str:
    made.run("x4", run_id="run-2", floor=("psnr_y=90",))
    assert {row.state for row in made.rows() if row.target == "x4"} == {"kept"}
    return key


def _quarantined(made: SmallArchive, key: str) -> str:
    made.source.put("roll 0/zz.png", made.source.get(key)[:100])
    made.run("x2", run_id="run-2")
    assert {row.state for row in made.rows() if "zz" in row.source_key} == {"quarantined"}
    return "roll 0/zz.png"


def _rendition(made: SmallArchive, key: str, target: str = "x2") -> str:
    (row,) = (row for row in made.rows() if (row.source_key, row.target) == (key, target))
    return row.lr_key


@pytest.mark.parametrize("when", ["before it was marked", "after it was marked"])
@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_never_archived, "never archived"),
        (_changed, "changed"),
        (_kept, "kept"),
        (_quarantined, "quarantined"),
        (_lr_gone, "no such object"),
        (_preview_gone, "no such object"),
        (_lr_flipped, "not those that were archived"),
    ],
)
def test_a_source_is_not_deleted_if(
    made: SmallArchive, harm: Callable[[SmallArchive, str], str], why: str, when: str
) -> None:
    if when == "after it was marked":
        retire_once(made)
    key = harm(made, _keys(made)[0])
    data = made.source.get(key)
    retire_once(made)
    tally = retire_once(made, grace=timedelta(0))
    assert made.source.get(key) == data
    assert why in " ".join([*tally.stay, *(item.reason for item in tally.unproven)])
    assert set(_events(made, key)) <= {"marked", "released"}
    assert _events(made, key)[-1:] != ["marked"]


def test_a_source_is_not_deleted_if_its_restoration_misses_the_floor(
    made: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    retire_once(made)
    real = restoring.restore

    def worse(*arguments: Any, **options: Any) -> Any:
        """As restored elsewhere: off by four levels, in a pattern no fingerprint shows."""
        photo = real(*arguments, **options)
        sign = np.indices(photo.pixels.shape[:2]).sum(0) % 2 * 8 - 4
        pixels = np.clip(photo.pixels.astype(int) + sign[..., None], 0, 255).astype(np.uint8)
        return replace(photo, pixels=pixels)

    monkeypatch.setattr(restoring, "restore", worse)
    tally = retire_once(made, grace=timedelta(0))
    assert [item.reason for item in tally.unproven] != []
    assert all("misses the floor: PSNR-Y" in item.reason for item in tally.unproven)
    assert len(tally.unproven) == len(_keys(made)) == 3
    assert _events(made) == ["marked"] * 3 + ["released"] * 3


def test_a_source_is_not_deleted_if_its_restoration_misses_the_floor_of_its_run_or_the_owners(
    made: SmallArchive,
) -> None:
    tally = retire_once(made, floor=Floor(psnr_y=99))
    assert all("misses the floor asked for" in item.reason for item in tally.unproven)
    assert len(tally.unproven) == 3
    site = site_of(made)
    (row, *_) = (row for row in made.rows() if row.target == "x2")
    claim = verification.Claim(
        source=steps.SourceObject(row.source_key, row.source_size, row.source_etag),
        rows=(row,),
        floors=(("x2", Floor(psnr_y=(row.psnr_y or 0) + 0.01, margin_db=0)),),
    )
    verifier = Verifier(made.source_url, made.archive_url)
    outcome = verifier.verify(claim)
    assert isinstance(outcome, Unproven)
    assert "misses the floor" in outcome.reason
    assert site.floors["run-1", "x2"] == Floor().without_margins()


def test_a_restoration_that_lost_what_the_source_carried_proves_nothing(
    made: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = restoring.restore

    def bare(*arguments: Any, **options: Any) -> Any:
        return replace(real(*arguments, **options), icc=b"another profile")

    monkeypatch.setattr(restoring, "restore", bare)
    tally = retire_once(made)
    assert all("without the source's icc" in item.reason for item in tally.unproven)
    assert len(tally.unproven) == 3


def test_what_changes_between_the_comparison_and_the_deletion_stays(made: SmallArchive) -> None:
    retire_once(made)
    changed, gone, sound = _keys(made)
    verifier = Verifier(made.source_url, made.archive_url)
    chunks = steps.chunks_of(steps.list_completely.fn(made.source, EVERYTHING))

    def verify(claim: verification.Claim) -> Proven | Unproven:
        outcome = verifier.verify(claim)
        if claim.source.key == changed:
            made.source.put(changed, b"a new picture")
        if claim.source.key == gone:
            made.source.delete(gone)
        return outcome

    site = site_of(made, grace=timedelta(0))
    tally = steps.retire_wave.fn(Wave(1, chunks), site, HerePool(verify))
    assert made.source.get(changed) == b"a new picture"
    assert tally.deleted == 1
    assert not made.source.exists(sound)
    assert {item.source_key for item in tally.unproven} == {changed, gone}
    assert _events(made, changed) == ["marked", "deleting", "released"]
    assert _events(made, sound) == ["marked", "deleting", "deleted"]


def test_a_deletion_that_a_killed_run_had_begun_is_accounted_for(made: SmallArchive) -> None:
    retire_once(made)
    first, second, _ = _keys(made)
    site = site_of(made, run_id="killed")
    begun = [entry for entry in site.journal.entries() if entry.source_key in (first, second)]
    actions._write(site, "deleting", begun)
    made.source.delete(first)  # and then it was killed
    tally = retire_once(made)
    assert (tally.waiting, _events(made, first)) == (2, ["marked", "deleting", "deleted"])
    (found,) = [entry for entry in site.journal.entries() if entry.event == "deleted"]
    assert "found gone" in (found.reason or "")
    assert _events(made, second) == ["marked", "deleting"]
    assert retire_once(made, grace=timedelta(0)).deleted == 2
    assert _events(made, second) == ["marked", "deleting", "deleting", "deleted"]


def test_a_store_that_fails_ends_the_run_and_the_account_is_true(
    made: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    retire_once(made)
    stuck = _keys(made)[1]
    real = LocalStore.delete

    def delete(store: LocalStore, key: str) -> None:
        if key == stuck:
            raise StorageError(f"{key}: 503", retryable=True)
        real(store, key)

    monkeypatch.setattr(LocalStore, "delete", delete)
    with pytest.raises(StorageError, match="503"):
        retire_once(made, grace=timedelta(0))
    assert _keys(made) == [stuck]
    deleted = [e.source_key for e in Journal(made.archive).entries() if e.event == "deleted"]
    assert len(deleted) == 2
    assert stuck not in deleted


def test_too_young_an_archive_marks_nothing(made: SmallArchive) -> None:
    assert retire_once(made, age=timedelta(days=1)).stay == {"archived too recently": 3}


def test_marks_of_one_collection_mean_nothing_for_another(
    made: SmallArchive, tmp_path: Path
) -> None:
    retire_once(made)
    other = copied(tmp_path, tmp_path / "other")
    elsewhere = SmallArchive(other.source_url, made.archive_url)
    elsewhere.tell_where_sources_lie()
    tally = retire_once(elsewhere, grace=timedelta(0))
    assert (tally.deleted, tally.marked) == (0, 3)


@pytest.mark.slow
def test_a_listing_that_fails_midway_ends_the_run_before_anything_is_done(
    made: SmallArchive, monkeypatch: pytest.MonkeyPatch, prefect_server: str
) -> None:
    from flows.retire import retire

    retire_once(made)
    keys = _keys(made)
    real = LocalStore.survey

    def breaks_off(store: LocalStore, *asked: Any, **named: Any) -> Iterator[Surveyed]:
        for number, found in enumerate(real(store, *asked, **named)):
            if store.url == made.source_url and number == 2:
                raise StorageError("page 3 cannot be had")
            yield found

    monkeypatch.setattr(LocalStore, "survey", breaks_off)
    with pytest.raises(StorageError, match="page 3"):
        retire(made.source_url, made.archive_url, older_than="0d", grace="1h", dry_run=False)
    monkeypatch.undo()
    assert _keys(made) == keys
    assert _events(made) == ["marked"] * 3


def test_sources_on_s3_are_retired_to_the_last_one(tmp_path: Path, moto_url: str) -> None:
    made = small_archive(moto_url, tmp_path, 2)
    assert retire_once(made).marked == 2
    assert retire_once(made, grace=timedelta(0)).deleted == 2
    with pytest.raises(UsageError, match="nothing is stored"):
        made.source.require_root()
    require_collection(made.source, made.archive)
    mistyped = open_store(made.source_url + "-typo")
    with pytest.raises(UsageError, match="nothing is stored"):
        require_collection(mistyped, made.archive)


def test_sources_are_moved_to_a_cold_class_by_two_runs_and_the_account_says_where(
    tmp_path: Path, moto_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = small_archive(moto_url, tmp_path, 3)
    first, second, elsewhere = _keys(made)
    sizes = {key: made.source.info(key).size for key in (first, second)}
    made.source.move_to_class(made.source.info(elsewhere), "GLACIER")
    rows = made.rows()
    marked = retire_once(made, to_class="DEEP_ARCHIVE")
    assert (marked.marked, marked.stay) == (2, {actions.COLD: 1})
    assert {made.source.class_of(key) for key in sizes} == {"STANDARD"}
    site = site_of(made, run_id="killed", to_class="DEEP_ARCHIVE")
    actions._write(site, "moving", list(site.journal.entries()))
    made.source.move_to_class(made.source.info(first), "DEEP_ARCHIVE")  # and then it was killed
    monkeypatch.setattr(parts, "COPIED_WHOLE_BYTES", 0)  # in parts: the copy has another etag
    done = retire_once(made, to_class="DEEP_ARCHIVE", grace=timedelta(0))
    assert (done.moved, done.moved_bytes, done.deleted) == (1, sizes[second], 0)
    assert done.stay == {"moved already": 1, actions.COLD: 1}
    assert {made.source.class_of(key) for key in sizes} == {"DEEP_ARCHIVE"}
    assert _events(made, first) == ["marked", "moving", "moved"]
    assert _events(made, second) == ["marked", "moving", "moving", "moved"]
    account = [entry for entry in Journal(made.archive).entries() if entry.event == "moved"]
    assert {entry.source_key: entry.storage_class for entry in account} == dict.fromkeys(
        sizes, "DEEP_ARCHIVE"
    )
    assert all(entry.proofs for entry in account)
    assert account[-1].source_etag == made.source.info(second).etag
    assert account[-1].source_etag not in {row.source_etag for row in rows}
    again = retire_once(made, grace=timedelta(0))  # nor is any of them deleted
    assert again.stay == {"moved already": 2, actions.COLD: 1}
    made.run("x2", run_id="run-2")  # an archive run: it takes none of them for another version
    kept = [(row.state, row.lr_key) for row in rows]
    assert [(row.state, row.lr_key) for row in made.rows()] == kept


@pytest.mark.parametrize(
    ("to_class", "why"), [("GLACIER", "has no storage classes"), ("WARM", "one of STANDARD_IA")]
)
def test_a_class_that_there_is_not_is_refused(made: SmallArchive, to_class: str, why: str) -> None:
    request = Request(
        source=made.source_url,
        archive=made.archive_url,
        older_than="0d",
        grace="1h",
        to_class=to_class,
    )
    with pytest.raises(UsageError, match=why):
        check(request)


@pytest.mark.slow
def test_the_command_does_nothing_unless_told_to(
    made: SmallArchive, refold_here: RefoldHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("retire", made.source_url, made.archive_url, "--older-than", "0d", "--json")
    dry = refold_here(*asked)
    assert dry.code == 0, dry.err
    assert (dry.json["dry_run"], dry.json["marked"], dry.json["run_id"]) == (True, 3, None)
    assert not Journal(made.archive).exists()
    journal = Journal(made.archive)
    with monkeypatch.context() as patched:
        patched.setattr(actions, "datetime", _AMonthAgo)
        retire_once(made)
    *_, last = journal.entries()
    journal.add([replace(last, at=datetime.now(UTC))])
    done = refold_here(*asked, "--yes")
    assert done.code == 0, done.err
    assert (done.json["deleted"], done.json["waiting"]) == (2, 1)
    assert len(_keys(made)) == 1
    run = made.catalog.runs()[-1]
    assert (run.job, run.archived, run.kept, run.listed) == ("retire", 2, 1, 3)


def test_what_was_deleted_is_restored_as_a_file_and_the_rest_stays(tmp_path: Path) -> None:
    """Densities that no PNG can state, and ordinary pictures beside them."""
    photos = tmp_path / "photos"
    photos.mkdir()
    picture = photograph("chelsea", 40, 48)
    picture.save(photos / "plain.png")
    picture.save(photos / "scan.tif", dpi=(300, 300))
    picture.save(photos / "absurd.tif", resolution_unit=2, dpi=(4294967295, 4294967295))
    exif = Image.Exif()
    exif[0x011A] = exif[0x011B] = IFDRational(4294967295, 1)
    exif[0x0128] = 2
    picture.save(photos / "absurd.jpg", exif=exif)
    made = SmallArchive(str(photos), f"{tmp_path}/archive")
    made.run("x2")
    before = {key: made.source.get(key) for key in _keys(made)}
    retire_once(made)
    retire_once(made, grace=timedelta(0))
    left = _keys(made)
    assert "plain.png" not in left
    assert {key: made.source.get(key) for key in left} == {key: before[key] for key in left}
    job = RestorationJob(
        archive_url=made.archive_url, destination_url=str(tmp_path / "out"), overwrite=False
    )
    requests, _ = made.requests()
    restored = {request.source_key: Restorer(job).restore(request) for request in requests}
    for key in before.keys() - set(left):
        outcome = restored[key]
        assert isinstance(outcome, Restored), outcome
        with Image.open(tmp_path / "out" / outcome.output_key) as image:
            assert image.size == picture.size
