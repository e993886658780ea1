"""A flow that the command runs is the flow it was, and what it came to is not lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flows.archive import archive
from flows.cli.exits import Exit
from flows.cli.running import _observed
from tasks.plans.options import PlanOptions
from tests.command import REPOSITORY, Refold
from tests.small_archive import small_archive


def test_prefect_reads_the_parameters_of_an_observed_flow_as_before() -> None:
    observed = _observed(archive, lambda _: None)
    asked = {"source": "a", "archive": "b", "options": PlanOptions(targets=("x2",))}
    assert observed.validate_parameters(asked)["options"] == PlanOptions(targets=("x2",))  # type: ignore[attr-defined]
    assert observed.name == archive.name == "archive"  # type: ignore[attr-defined]
    assert archive.fn.__globals__["__name__"] == "flows.archive", "the flow itself is left alone"


def test_what_a_flow_came_to_is_told_before_prefect_hears_of_it() -> None:
    from prefect import flow

    told: list[int] = []

    @flow
    def double(number: int) -> int:
        return 2 * number

    assert _observed(double, told.append).fn(21) == 42  # type: ignore[attr-defined]
    assert told == [42]


def test_a_command_ends_with_its_code_whatever_is_still_running() -> None:
    """Threads of libraries waited for servers that were gone, or aborted the interpreter."""
    code = (
        "import atexit, threading, time; from flows.cli import endings;"
        "atexit.register(print, 'tidied');"
        "threading.Thread(target=time.sleep, args=(600,)).start();"
        "print('said', end=' '); endings.leave(3)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == Exit.QUARANTINE, ran.stderr
    assert ran.stdout == "said tidied\n"


@pytest.mark.slow
def test_a_named_server_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    """It was an internal error."""
    made = small_archive(str(tmp_path), tmp_path, count=1)
    ran = Refold({"PREFECT_API_URL": "http://127.0.0.1:9/api"})("maintain", made.archive_url)
    assert ran.code == Exit.FAILED
    (line,) = [line for line in ran.err.splitlines() if line.startswith("refold:")]
    assert "PREFECT_API_URL" in line
    assert "nothing was begun" in line
