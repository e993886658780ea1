"""A run killed with SIGKILL and started again ends like one that was never killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import Refold, write_photographs

pytestmark = [pytest.mark.faults, pytest.mark.slow]

PHOTOS = 14


def _catalog(refold: Refold, archive: Path) -> dict[tuple[str, str], dict[str, Any]]:
    rows = refold("ls", str(archive), "--json").json
    by_key = {(row["source_key"], row["target"]): row for row in rows}
    assert len(by_key) == len(rows), "a source is listed twice for one target"
    return by_key


def _lr_objects(archive: Path) -> int:
    return sum(1 for path in (archive / "renditions").rglob("*") if path.is_file())


def _commits(archive: Path) -> int:
    return len(list((archive / "catalog" / "renditions" / "_delta_log").glob("*.json")))


def _kill_when(refold: Refold, arguments: tuple[str, ...], reached: Callable[[], bool]) -> None:
    """Start a run and kill it, the driver alone, as soon as `reached`."""
    process = refold.start(*arguments)
    deadline = time.monotonic() + 300
    while not reached():
        assert process.poll() is None, f"ended too early: {process.communicate()[1]}"
        assert time.monotonic() < deadline, "never came so far"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, refold: Refold
) -> tuple[Path, dict[tuple[str, str], dict[str, Any]]]:
    """A collection, and the catalog of a run over it that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_photographs(folder / "photos", PHOTOS)
    (folder / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    ran = refold("archive", str(folder / "photos"), str(folder / "archive"), *TARGETS)
    assert ran.code == 3, ran.err
    return folder / "photos", _catalog(refold, folder / "archive")


TARGETS = ("--target", "x2", "--target", "long-edge=64")
STABLE = ("state", "lr_key", "lr_bytes", "reason", "psnr_y", "ssim_y", "rescaler", "codec")


@pytest.mark.parametrize(
    "moment",
    ["before anything is written", "after the first LR object", "after the second commit"],
)
def test_a_killed_run_started_again_ends_like_an_undisturbed_one(
    tmp_path: Path,
    refold: Refold,
    undisturbed: tuple[Path, dict[tuple[str, str], dict[str, Any]]],
    moment: str,
) -> None:
    photos, expected = undisturbed
    archive = tmp_path / "archive"
    reached: dict[str, Callable[[], bool]] = {
        "before anything is written": lambda: _commits(archive) >= 1,
        "after the first LR object": lambda: _lr_objects(archive) >= 1,
        "after the second commit": lambda: _commits(archive) >= 3,  # the first makes the table
    }
    arguments = ("archive", str(photos), str(archive), *TARGETS)
    _kill_when(refold, arguments, reached[moment])
    again = refold(*arguments, "--json")
    assert again.code in (0, 3), again.err
    if moment == "after the second commit":
        assert again.json["unchanged"] > 0
    found = _catalog(refold, archive)
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        assert {name: found[key][name] for name in STABLE} == {name: row[name] for name in STABLE}
    for row in found.values():
        if row["state"] == "archived":
            assert (archive / row["lr_key"]).stat().st_size == row["lr_bytes"]
    assert refold(*arguments, "--json").json["unchanged"] == PHOTOS + 1
