"""Prefect's server dies, or does not come up: the work is done all the same, or it is said why."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from flows.cli.exits import Exit
from tests.command import Refold, RefoldHere
from tests.faults.undisturbed import Undisturbed

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def _kill_servers(process: subprocess.Popen[str]) -> None:
    with suppress(psutil.Error):  # a process may end while it is looked at
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "uvicorn" in " ".join(child.cmdline()):
                    child.kill()


def test_a_server_that_is_killed_again_and_again_fails_no_run(
    tmp_path: Path, all_here: RefoldHere, fourteen: Undisturbed, prefect_home: dict[str, str]
) -> None:
    """It made a run fail whose every row was committed, as an internal error."""
    archive = tmp_path / "archive"
    alone = Refold(prefect_home)
    process = alone.start(*fourteen.arguments(archive))
    while not (archive / "renditions").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    while process.poll() is None:  # more often than it is started again
        _kill_servers(process)
        time.sleep(0.2)
    _, err = process.communicate()
    assert process.returncode == Exit.QUARANTINE, err
    assert "internal error" not in err
    assert "Traceback" not in err
    fourteen.check(all_here, archive)


def test_a_server_that_does_not_start_is_said_in_one_line(
    tmp_path: Path, fourteen: Undisturbed
) -> None:
    (tmp_path / "prefect").write_text("a file where its folder should be")
    impatient = Refold(
        {
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "30",
        }
    )
    ran = impatient(*fourteen.arguments(tmp_path / "archive"), "--json")
    assert ran.code == Exit.FAILED
    (line,) = [line for line in ran.err.splitlines() if line.startswith("refold:")]
    assert "Prefect" in line
    assert "internal error" not in ran.err
    assert ran.json["error"]["exit_code"] == Exit.FAILED
