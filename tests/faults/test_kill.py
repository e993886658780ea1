"""A run killed with SIGKILL, wherever it is, and started again ends like one that never was."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.command import Refold, RefoldHere
from tests.faults.conftest import ALL_FAULTS
from tests.faults.undisturbed import Kept, Undisturbed, sabotaged

pytestmark = [pytest.mark.faults, pytest.mark.slow]

STORES: tuple[Kept, ...] = ("objects", "packs")
EVERYDAY: tuple[tuple[str, Kept], ...] = (
    ("after:put:5", "objects"),
    ("before:commit:2", "objects"),
    ("after:put:3", "packs"),
)
BOUNDARIES = (
    *(step for step, _ in EVERYDAY),
    "before:list:1",
    "after:list:1",
    "before:plan:1",
    "after:plan:1",
    "before:read:1",
    "after:read:4",
    "before:encode:1",
    "after:encode:7",
    "before:put:1",
    "after:commit:1",
    "after:commit:3",
    "before:record:1",
    "after:record:1",
)
KILLS = [(step, kept) for step in BOUNDARIES for kept in STORES] if ALL_FAULTS else EVERYDAY
RANDOM_KILLS = 50 if ALL_FAULTS else 1


@pytest.mark.parametrize(("boundary", "store"), KILLS)
def test_a_run_killed_at_a_step_boundary(
    tmp_path: Path,
    refold: Refold,
    all_here: RefoldHere,
    fourteen: Undisturbed,
    boundary: str,
    store: Kept,
) -> None:
    archive = tmp_path / "archive"
    asked = fourteen.arguments(archive, store)
    killed = sabotaged(refold, f"kill:{boundary}", tmp_path)(*asked)
    assert killed.code == -signal.SIGKILL, killed.err
    assert (tmp_path / "struck").exists()
    again = all_here(*asked, "--json")
    assert again.code in (0, 3), again.err
    counts = again.json
    done = counts["archived"] + counts["kept"] + counts["quarantined"]
    assert done + counts["unchanged"] == fourteen.sources
    fourteen.check(all_here, archive)


@pytest.mark.parametrize("step", ("read", "encode", "put") if ALL_FAULTS else ("put",))
def test_a_killed_worker_is_replaced_within_the_run(
    tmp_path: Path, refold: Refold, all_here: RefoldHere, fourteen: Undisturbed, step: str
) -> None:
    archive = tmp_path / "archive"
    ran = sabotaged(refold, f"worker:before:{step}:3", tmp_path)(*fourteen.arguments(archive))
    assert (tmp_path / "struck").exists()
    assert ran.code == 3, ran.err
    fourteen.check(all_here, archive)


def test_a_killed_command_leaves_no_server_behind(
    tmp_path: Path, fourteen: Undisturbed, prefect_home: dict[str, str]
) -> None:
    """One that has no server of its own to report to, and so starts one."""
    alone = Refold(prefect_home)
    process = alone.start(*fourteen.arguments(tmp_path / "archive"))
    deadline = time.monotonic() + 120
    while not (servers := _servers(process.pid)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(servers, timeout=60)
    assert not alive


def _servers(parent: int) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(parent).children(recursive=True)
        if "uvicorn" in " ".join(child.cmdline())
    ]


@pytest.mark.parametrize("number", range(RANDOM_KILLS))
def test_a_run_killed_at_any_moment(
    tmp_path: Path, refold: Refold, all_here: RefoldHere, many: Undisturbed, number: int
) -> None:
    """The moments are spread evenly, then shaken; every other run writes packs."""
    archive = tmp_path / "archive"
    asked = many.arguments(archive, STORES[number % 2])
    share = (number + random.Random(number).random()) / RANDOM_KILLS
    process = refold.start(*asked)
    try:
        process.wait(timeout=share * many.seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    again = all_here(*asked, "--json")
    assert again.code in (0, 3), again.err
    many.check(all_here, archive)
