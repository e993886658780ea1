"""What the command is like to use: help with examples, completion, colours, a demo."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.text import Text

from flows.cli import app as cli
from flows.cli.app import run
from flows.cli.console import _PlainConsole
from flows.cli.examples import EXAMPLES
from flows.cli.exits import Exit
from flows.demo import MARK, empty
from rescaling_core.errors import UsageError
from tests.command import REPOSITORY
from tests.unit.infra.commands import refuse_unknown


def _commands() -> dict[str, typer.core.TyperCommand]:
    cli._register()
    found = {}
    for name, command in typer.main.get_command(cli.app).commands.items():
        below = getattr(command, "commands", {})
        found |= {f"{name} {one}": leaf for one, leaf in below.items()} or {name: command}
    return found


def test_every_command_has_an_example_in_its_help() -> None:
    commands = _commands()
    assert commands.keys() == EXAMPLES.keys()
    for name, command in commands.items():
        assert all(line in command.epilog for line in EXAMPLES[name])


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_every_example_is_taken_by_its_command(line: str) -> None:
    refuse_unknown(shlex.split(line))


def test_help_shows_each_example_on_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["restore", "--help"]) == Exit.DONE
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert set(EXAMPLES["restore"]) <= set(lines)


@pytest.mark.slow
def test_a_shell_can_complete_commands() -> None:
    asked = {
        "_REFOLD_COMPLETE": "complete_bash", "COMP_WORDS": "refold arc", "COMP_CWORD": "1",
    }  # fmt: skip
    program = "import sys; sys.argv[0] = 'refold'; from flows.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **asked, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["archive"], done.stderr


@pytest.mark.parametrize(("value", "coloured"), [(None, True), ("1", False)])
def test_colours_are_off_where_the_environment_says_so(
    value: str | None, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if value is not None:
        monkeypatch.setenv("NO_COLOR", value)
    console = _PlainConsole()
    with console.capture() as captured:
        console.print(Text("refold: it failed"), style="red")
    assert ("\x1b[31m" in captured.get()) is coloured


def test_a_demo_empties_no_folder_that_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"irreplaceable")
    with pytest.raises(UsageError, match="no demo made it"):
        empty(tmp_path)
    assert (tmp_path / "holiday.jpg").exists()
    made = tmp_path / "new" / "demo"
    empty(made)
    (made / "left over").touch()
    empty(made)
    assert [path.name for path in made.iterdir()] == [MARK]
