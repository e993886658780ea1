"""Runs the pages of the documentation: their commands, in order, in one folder a page.

What a page may hold:

- A block of `console`: lines that begin with `$ ` are commands, those with `> ` go on with one.
  Below stands what it prints, but for progress; `...` stands for whatever differs.
- A block with `title="name"`: a file of that name, which is written before the next command.
- `<!-- not run: why -->` before a block: it is not run. The test counts these.
- `<!-- ends with 1 -->` before a block: the exit code of its last command; else all end with 0.

Numbers may differ, as weights and presets get better: pages show those of the day they were
written. With `REFOLD_WRITE_PAGES=1` the test writes down what commands print and compares
nothing.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.command import REPOSITORY, Ran, RefoldHere, photograph

IN_PROCESSES: Final = os.environ.get("REFOLD_ALL_PAGES") == "1"
"""Whether every command is a process of its own with workers of its own, as with a reader. `make
pages` does it. It takes minutes, nearly all of them to import the program again and again."""

DOCS: Final = REPOSITORY / "docs"

_BLOCK: Final = re.compile(
    r"(?:^ *<!-- (?P<note>[^>]*) -->\n)?"
    r"^(?P<indent> *)```(?P<kind>\w+)(?P<traits>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_NUMBER: Final = re.compile(r"\d[\d,.]*(?:e-\d+)?")
_SIZE: Final = re.compile(r"\b0 +[kMG]?B\b")
_SPAN: Final = re.compile(r"\bin 0 (?:days|months|years)")
"""After which something pays back: a busy machine takes longer, and what it costs is by time."""
_DIGEST: Final = re.compile(r"\b[0-9a-f]{16,}\b")
_RULE: Final = re.compile("[─━-]{2,}")
"""Lines of tables are as long as what stands in them."""
_FOR_A_SHELL: Final = re.compile(r"[|&;<>$`]")
_ROWS: Final = re.compile(r"(?:^│.*│\n?)+", re.MULTILINE)
"""Of a table. How texts in its cells are wrapped depends on how wide the numbers beside are, and in
which order they stand on numbers that are nearly the same."""
_CHANGING: Final = re.compile(r"(?<=^run )\S+", re.MULTILINE)
_SAMENESS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    title: str | None
    text: str
    not_run: str | None
    """Why it is not run."""
    ends_with: int


@dataclass(frozen=True)
class Command:
    """One command, and what the page says that it prints."""

    line: str
    printed: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    found = []
    for match in _BLOCK.finditer(page.read_text("utf-8")):
        note = match["note"] or ""
        title = re.search(r'title="([^"]+)"', match["traits"])
        ends = re.fullmatch(r"ends with (\d+)", note)
        found.append(
            Block(
                match["kind"],
                title and title[1],
                textwrap.dedent(match["text"]),
                note.removeprefix("not run: ") if note.startswith("not run: ") else None,
                int(ends[1]) if ends else 0,
            )
        )
    return found


def commands(text: str) -> Iterator[Command]:
    """The commands of a console block."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        first, *lines = part.splitlines()
        line = [first]
        while lines and lines[0].startswith("> "):
            line.append(lines.pop(0)[2:])
        yield Command("\n".join(line), "\n".join(lines))


Shell = Callable[[str, Path], Ran]
"""Runs a line in a folder."""


def run_page(page: Path, folder: Path, shell: Shell, seen: Callable[..., None]) -> int:
    """Run a page in a folder.

    Args:
        page: Its file.
        folder: Where its commands run; `photos` there holds a few small photographs.
        shell: What runs them.
        seen: Is given each command, what it printed, its exit code and the one that is meant.

    Returns:
        How many commands ran.
    """
    small_photographs(folder / "photos")
    count = 0
    for block in blocks(page):
        if block.not_run is not None:
            continue
        if block.title is not None:
            (folder / block.title).write_text(block.text, "utf-8")
        if block.kind != "console":
            continue
        listed = list(commands(block.text))
        for command in listed:
            ran = shell(command.line, folder)
            seen(command, ran, block.ends_with if command is listed[-1] else 0)
            count += 1
    return count


def check(command: Command, ran: Ran, code: int) -> None:
    """Hold what a command did against what its page says."""
    assert ran.code == code, f"$ {command.line}\n{ran.out}{ran.err}"
    same = doctest.OutputChecker().check_output(
        _without_numbers(command.printed), _without_numbers(_told(ran)), _SAMENESS
    )
    assert same, f"$ {command.line}\n{ran.out}\nis not what the page says:\n{command.printed}"


def write_down(page: Path, command: Command, ran: Ran) -> None:
    """Put what a command printed into its page."""
    line = "$ " + command.line.replace("\n", "\n> ")
    printed = "\n".join(one.rstrip() for one in _told(ran).rstrip().splitlines())
    printed = _CHANGING.sub("...", printed)
    text = page.read_text("utf-8")
    before = "\n".join(filter(None, (line, command.printed)))
    after = "\n".join(filter(None, (line, printed)))
    page.write_text(text.replace(f"{before}\n", f"{after}\n", 1), "utf-8")


def _told(ran: Ran) -> str:
    """What it printed, and the line in which a command says why it failed."""
    return ran.out + "".join(re.findall(r"^refold: .*\n", ran.err, re.MULTILINE))


def _without_numbers(text: str) -> str:
    numbered = _NUMBER.sub("0", _DIGEST.sub("0", text.rstrip()))
    numbered = _SPAN.sub("in 0 months", _SIZE.sub("0 B", numbered))
    return _RULE.sub("-", _ROWS.sub(lambda found: _by_columns(found[0]), numbered))


def _by_columns(rows: str) -> str:
    columns = zip(*(line.strip("│").split("│") for line in rows.splitlines()), strict=True)
    return "\n".join(" ".join(sorted(" ".join(cells).split())) for cells in columns) + "\n"


def small_photographs(folder: Path) -> None:
    """Make four small photographs, of which one is a JPEG file."""
    folder.mkdir()
    for name, sample, top in (
        ("cat.png", "chelsea", 20),
        ("cup.png", "coffee", 100),
        ("pilot.png", "astronaut", 0),
    ):
        photograph(sample, 256, 256, top, 100).save(folder / name)
    (folder / "2019").mkdir()
    launch = photograph("rocket", 256, 256, 100, 200)
    launch.save(folder / "2019" / "launch.jpg", quality=90, subsampling=0)


def bash(variables: Mapping[str, str]) -> Shell:
    """A shell with some variables beside those of this process."""

    def run(line: str, folder: Path) -> Ran:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, **variables, "PATH": path, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(
            ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


def here(variables: Mapping[str, str]) -> Shell:
    """The same, but `refold` runs in this process; what a shell is needed for, one does."""
    other = bash(variables)

    def run(line: str, folder: Path) -> Ran:
        command, _, file = line.replace("\\\n", " ").partition(" > ")
        if not command.startswith("refold ") or _FOR_A_SHELL.search(command + file):
            return other(line, folder)
        ran = RefoldHere(variables, folder)(*shlex.split(command)[1:])
        if not file:
            return ran
        (folder / file).write_text(ran.out, "utf-8")
        return Ran(ran.code, "", ran.err)

    return run
