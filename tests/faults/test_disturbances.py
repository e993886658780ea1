"""Runs whose surroundings misbehave: storage, disk, clock, and another run."""

from __future__ import annotations

import itertools
import random
import subprocess
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.command import Refold, RefoldHere
from tests.faults.conftest import ALL_FAULTS
from tests.faults.undisturbed import Kept, Undisturbed, read_rows, sabotaged
from tests.servers.endpoint import S3Endpoint
from tests.servers.proxy import Fault, proxy

pytestmark = [pytest.mark.faults, pytest.mark.slow]

FAULTS: tuple[Fault, ...] = ("500", "503", "cut body", "lost answer", "slow")


@pytest.mark.parametrize("store", ["objects", "packs"] if ALL_FAULTS else ["objects"])
def test_storage_that_fails_one_request_in_ten(
    refold: Refold, all_here: RefoldHere, fourteen: Undisturbed, moto: S3Endpoint, store: Kept
) -> None:
    """The archive's storage misbehaves for the catalog as well as for LR objects."""
    dice, kinds = random.Random(7), itertools.cycle(FAULTS)
    seen: list[Fault] = []

    def one_in_ten(_method: str, _path: str) -> Fault | None:
        if dice.random() >= 0.1:
            return None
        seen.append(next(kinds))
        return seen[-1]

    bucket = moto.new_bucket()
    asked = fourteen.arguments(f"s3://{bucket}/archive", store)
    with proxy(moto, faults=one_in_ten) as bad:
        ran = refold.within(bad.environment)(*asked)
        if ran.code not in (0, 3):  # it may give up, but then it says why, and can be started again
            assert "storage" in ran.err.lower() or "s3://" in ran.err, ran.err
    assert set(seen) == set(FAULTS)
    steady = all_here.within(moto.environment)
    again = steady(*asked, "--json")
    assert again.code in (0, 3), again.err
    fourteen.check_rows(read_rows(steady, f"s3://{bucket}/archive"))


def test_a_disk_that_fills_up(
    tmp_path: Path, without_ray: Refold, all_here: RefoldHere, fourteen: Undisturbed
) -> None:
    """On a file system of its own: too small for the run, then larger."""
    if subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this kernel lets nobody mount a file system of their own")
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    script = """
        mount -t tmpfs -o size=$SIZE tmpfs "$DISK"
        "$@" > "$KEPT.first" 2>&1; echo $? > "$KEPT.code"
        mount -o remount,size=100m "$DISK"
        "$@" > "$KEPT.second" 2>&1
        cp -r "$DISK/archive" "$KEPT"
    """
    inside = without_ray.within({"DISK": str(disk), "KEPT": str(kept), "SIZE": "192k"})
    under = ("unshare", "-rm", "sh", "-c", script, "sh")
    ran = inside(*fourteen.arguments(disk / "archive"), under=under)
    assert ran.code == 0, ran.err
    assert Path(f"{kept}.code").read_text().strip() not in ("0", "3"), "the disk was large enough"
    *_, said = Path(f"{kept}.first").read_text().strip().splitlines()
    assert said.startswith("refold: cannot write"), said
    assert "No space left on device" in said
    fourteen.check(all_here, kept)


def test_a_clock_that_jumps_back_a_day(
    tmp_path: Path, without_ray: Refold, all_here: RefoldHere, fourteen: Undisturbed
) -> None:
    archive = tmp_path / "archive"
    jumping = sabotaged(without_ray, "clock:after:commit:1", tmp_path)
    assert jumping(*fourteen.arguments(archive)).code == 3
    assert (tmp_path / "struck").exists()
    fourteen.check(all_here, archive)
    table = DeltaTable(str(archive / "catalog" / "renditions")).to_pyarrow_table()
    days = {moment.date() for moment in table["committed_at"].to_pylist()}
    assert len(days) == 2, "the clock did not jump"
    assert all_here(*fourteen.arguments(archive), "--json").json["unchanged"] == fourteen.sources


@pytest.mark.parametrize("store", ["objects", "packs"])
def test_two_runs_at_once_end_like_one(
    tmp_path: Path, without_ray: Refold, all_here: RefoldHere, fourteen: Undisturbed, store: Kept
) -> None:
    archive = tmp_path / "archive"
    runs = [without_ray.start(*fourteen.arguments(archive, store)) for _ in range(2)]
    ended = [(run.communicate(timeout=400), run.returncode) for run in runs]
    assert all(code in (0, 3) for _, code in ended), ended
    fourteen.check(all_here, archive)
    if store == "objects":
        files = (p for p in (archive / "renditions").rglob("*") if p.is_file())
        lr_objects = {str(path.relative_to(archive)) for path in files}
        stored = [row for row in fourteen.rows.values() if row["state"] == "archived"]
        assert lr_objects == {row["lr_key"] for row in stored}
