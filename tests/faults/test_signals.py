"""A run that is told to end, as schedulers, closed terminals and people at the keyboard do."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flows.cli.exits import Exit
from tests.command import Refold, RefoldHere
from tests.faults.conftest import ALL_FAULTS
from tests.faults.undisturbed import Undisturbed, sabotaged

pytestmark = [pytest.mark.faults, pytest.mark.slow]

ENDED_BY_THEM = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}

UNWANTED = ("Traceback", "internal error", "Crash detected", "SIGABRT", "***", "Error")


def _wait_until(process: subprocess.Popen[str], mark: Path) -> list[psutil.Process]:
    """Wait for a file; returns what the command has started by then."""
    while not mark.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return psutil.Process(process.pid).children(recursive=True)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return ""


def _code_of_the_next_run(refold: Refold, archive: Path) -> Exit:
    """Of a run that goes on where one was ended.

    A run tells of the sources that it puts into quarantine itself. Where the broken one was
    committed by the run that was ended, the next one finds it unchanged.
    """
    listed = refold("ls", str(archive), "--json")
    known = {row["source_key"] for row in listed.json} if listed.code == Exit.DONE else set()
    return Exit.DONE if "broken.png" in known else Exit.QUARANTINE


@pytest.fixture(autouse=True)
def _nothing_is_ignored() -> Iterator[None]:
    """What `nohup` or a shell has the tests ignore, the commands that they start would ignore."""
    ignored = [one for one in ENDED_BY_THEM if signal.getsignal(one) is signal.SIG_IGN]
    for one in ignored:
        signal.signal(one, signal.SIG_DFL)
    yield
    for one in ignored:
        signal.signal(one, signal.SIG_IGN)


@pytest.mark.parametrize("number", ENDED_BY_THEM, ids=lambda number: number.name)
def test_a_run_told_to_end_says_so_in_one_sentence_and_leaves_nothing_running(
    tmp_path: Path,
    all_here: RefoldHere,
    fourteen: Undisturbed,
    number: signal.Signals,
    prefect_home: dict[str, str],
) -> None:
    """With a Prefect server of its own, in the middle of its conversions.

    Its workers are a few processes, as for any small run, or those of a Ray of its own.
    """
    archive = tmp_path / "archive"
    on_ray = number == signal.SIGTERM
    alone = Refold(prefect_home | {"REFOLD_SMALL_RUN": "0"} if on_ray else prefect_home)
    # A worker that has written two LR objects waits, so that the run cannot be faster than we are.
    waits = sabotaged(alone, "wait:after:put:2", tmp_path)
    process = waits.start(*fourteen.arguments(archive), "--json")
    children = _wait_until(process, tmp_path / "struck")
    commands = [_command(child) for child in children]
    assert any("uvicorn" in one for one in commands), "Prefect was not started"
    assert any("raylet" in one for one in commands) == on_ray
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # a terminal sends it to all in its foreground
    else:
        os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == ENDED_BY_THEM[number], err
    said = [line for line in err.splitlines() if line.strip() and "━" not in line]
    assert len(said) == 1, err
    assert said[0].startswith(f"refold: ended by {number.name}")
    assert not any(word in err for word in UNWANTED), err
    assert out == ""
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    expected = _code_of_the_next_run(all_here, archive)
    again = all_here(*fourteen.arguments(archive))
    assert again.code == expected, again.err
    fourteen.check(all_here, archive)


@pytest.mark.skipif(not ALL_FAULTS, reason="a long one: `make faults` runs it")
@pytest.mark.parametrize("moment", [0.3, 1.0, 2.0, 4.0, 8.0])
def test_a_run_told_to_end_at_any_moment_ends_so(
    tmp_path: Path,
    all_here: RefoldHere,
    fourteen: Undisturbed,
    moment: float,
    prefect_home: dict[str, str],
) -> None:
    """While it imports, starts Prefect, starts Ray, converts."""
    archive = tmp_path / "archive"
    alone = Refold(prefect_home | {"REFOLD_SMALL_RUN": "0"})
    process = alone.start(*fourteen.arguments(archive))
    time.sleep(moment)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode in (143, -signal.SIGTERM), err  # the latter: before its first line
    assert not any(word in err for word in UNWANTED), err
    expected = _code_of_the_next_run(all_here, archive)
    again = all_here(*fourteen.arguments(archive))
    assert again.code == expected, again.err
    fourteen.check(all_here, archive)
