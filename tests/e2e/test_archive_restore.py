"""The main job through the command: archive, archive again, restore, compare."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rescaling_core.quality import metrics
from tests.command import Refold, RefoldHere, write_photographs

pytestmark = pytest.mark.slow


def _psnr_y(first: Path, second: Path) -> float:
    with Image.open(first) as a, Image.open(second) as b:
        assert a.size == b.size
        return metrics.psnr_y(np.asarray(a), np.asarray(b))


def test_archive_twice_touch_one_restore_all(
    tmp_path: Path, refold: Refold, refold_here: RefoldHere
) -> None:
    """The first run and the last are processes of their own, as every command of a user is."""
    photos, archive, out = tmp_path / "photos", tmp_path / "archive", tmp_path / "out"
    keys = write_photographs(photos, 5)

    dry = refold_here("archive", str(photos), str(archive), "--target", "x2", "--dry-run", "--json")
    assert dry.code == 0, dry.err
    assert dry.json["pending"] == 5
    assert not archive.exists()

    first = refold("archive", str(photos), str(archive), "--target", "x2", "--json")
    assert first.code == 0, first.err
    assert first.json["archived"] == 5
    assert first.json["source_bytes"] == sum((photos / key).stat().st_size for key in keys)
    assert 0 < first.json["stored_bytes"] < first.json["source_bytes"]

    rows = refold_here("ls", str(archive), "--json").json
    assert sum(row["lr_bytes"] for row in rows) == first.json["stored_bytes"]

    second = refold_here("archive", str(photos), str(archive), "--target", "x2", "--json")
    assert (second.json["archived"], second.json["unchanged"]) == (0, 5)

    os.utime(photos / keys[0], ns=(1, 1))
    third = refold_here("archive", str(photos), str(archive), "--target", "x2", "--json")
    assert (third.json["archived"], third.json["unchanged"]) == (1, 4)

    listed = refold_here("ls", str(archive), "--json").json
    assert sorted(row["source_key"] for row in listed) == keys
    assert {row["state"] for row in listed} == {"archived"}
    assert all((archive / row["lr_key"]).stat().st_size == row["lr_bytes"] for row in listed)

    restored = refold_here("restore", str(archive), str(out), "--all", "--json")
    assert restored.code == 0, restored.err
    assert restored.json["restored"] == 5
    recorded = {row["source_key"]: row["psnr_y"] for row in listed}
    for output in restored.json["outputs"]:
        key = output["source_key"]
        assert abs(_psnr_y(photos / key, Path(output["path"])) - recorded[key]) <= 0.01

    lr_file = archive / listed[0]["lr_key"]
    shutil.copy(lr_file, tmp_path / "that-file.png")
    shutil.rmtree(archive)
    alone = refold("restore", str(tmp_path / "that-file.png"), str(tmp_path / "alone"), "--json")
    assert alone.code == 0, alone.err
    path = Path(alone.json["outputs"][0]["path"])
    assert path.read_bytes() == Path(restored.json["outputs"][0]["path"]).read_bytes()


def test_every_source_is_accounted_for_and_broken_ones_stop_nothing(
    tmp_path: Path, all_here: RefoldHere
) -> None:
    photos, archive = tmp_path / "photos", tmp_path / "archive"
    good = write_photographs(photos, 2)
    whole = (photos / good[0]).read_bytes()
    (photos / "empty.png").write_bytes(b"")
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "notes.txt").write_text("no image at all")
    Image.new("1", (20_000, 20_000)).save(photos / "bomb.png")
    Image.fromarray(np.zeros((40, 40), np.uint16)).save(photos / "sixteen.png")
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(photos / "flat.png")

    ran = all_here(
        "archive", str(photos), str(archive), "--target", "x2", "--target", "long-edge=32", "--json"
    )
    assert ran.code == 3, ran.err
    assert "Traceback" not in ran.err
    assert (ran.json["archived"], ran.json["kept"], ran.json["quarantined"]) == (4, 0, 4)

    states = {
        (row["source_key"], row["target"]): row
        for row in all_here("ls", str(archive), "--json").json
    }
    assert len(states) == 8 * 2
    for key, word in {
        "empty.png": "empty",
        "cut.png": "truncated",
        "notes.txt": "not an image",
        "bomb.png": "pixels",
    }.items():
        row = states[key, "x2"]
        assert row["state"] == "quarantined"
        assert word in row["reason"].lower(), row["reason"]
    assert states["sixteen.png", "x2"]["state"] == "kept"
    assert states["sixteen.png", "long-edge=32"]["state"] == "archived"
    assert "not smaller" in states["flat.png", "x2"]["reason"]
    assert states["flat.png", "long-edge=32"]["state"] == "archived"

    again = all_here("archive", str(photos), str(archive), "--target", "x2", "--json")
    assert (again.code, again.json["unchanged"]) == (0, 8)

    refused = all_here("restore", str(archive), str(tmp_path / "out"), "cut.png", "--json")
    assert refused.code == 1
    assert "quarantined" in refused.json["failures"][0]["reason"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--target", "x9"), "x9"),
        (("--target", "double"), "double"),
        (("--rescaler", "nonesuch"), "irn-x2-lite"),
        (("--codec", "gif"), "gif"),
        (("--floor", "psnr_y=-3"), "psnr_y"),
        (("--quality", "900", "--codec", "webp"), "900"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    tmp_path: Path, refold_here: RefoldHere, arguments: tuple[str, ...], word: str
) -> None:
    write_photographs(tmp_path / "photos", 1)
    ran = refold_here("archive", str(tmp_path / "photos"), str(tmp_path / "archive"), *arguments)
    assert ran.code == 2
    lines = [line for line in ran.err.splitlines() if line.startswith("refold:")]
    assert len(lines) == 1
    assert word in lines[0]
    assert "Traceback" not in ran.err
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize("source", ["./nowhere", "gopher://x/y", ""])
def test_a_source_that_does_not_exist_is_refused(
    tmp_path: Path, refold_here: RefoldHere, source: str
) -> None:
    ran = refold_here("archive", source, str(tmp_path / "archive"))
    assert ran.code in (1, 2)
    assert "refold:" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "archive").exists()


def test_more_encoders_than_the_cluster_has_cpus_are_refused(
    tmp_path: Path, refold_here: RefoldHere
) -> None:
    """It waited for them for ever."""
    write_photographs(tmp_path / "photos", 1)
    ran = refold_here.within({"REFOLD_ENCODERS": "10000"})(
        "archive", str(tmp_path / "photos"), str(tmp_path / "archive")
    )
    assert ran.code == 2, ran.err
    assert "REFOLD_ENCODERS=10000" in ran.err
    assert not (tmp_path / "archive" / "renditions").exists()
