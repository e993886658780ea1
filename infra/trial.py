"""A newcomer's first hour, as a program: `make trial` follows the first pages.

The wheel of `make build` is installed into an environment of its own, outside the checkout and
with an empty home folder. Then the pages for newcomers are followed word for word: every command is
given to one shell, as it is printed there. Three things are not as a reader has them. The wheel
comes from dist/ instead of a registry. torch is the release of infra/constraints.txt, which is the
CPU build where one is at hand. The bucket lies on moto's S3 server, whose address and keys take the
place of the dots. Beside what the pages say, four photographs are laid out.

docs/start/transcript.md is written again, with the time that each command took. Names of folders
outside that environment and of registries are left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.pages import DOCS, Block, blocks, commands, small_photographs
from tests.servers.moto import moto_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = DOCS / "start" / "transcript.md"
WORDS_A_MINUTE: Final = 230
"""Of somebody who reads plain prose."""
STROKES_A_MINUTE: Final = 200
"""Of somebody who types, and does not paste."""
LONGEST: Final = 1200
"""Seconds that a command may take."""
MOST_LINES: Final = 14
"""Of what a command prints, in the transcript."""
CONSTRAINTS: Final = ROOT / "infra" / "constraints.txt"
SERVES: Final = "refold serve"

_TIMES: Final = re.compile(r"^(\d+m[\d.]+s) (\d+m[\d.]+s)$", re.MULTILINE)
_DONE: Final = re.compile(r"^@@done (\d+)@@$", re.MULTILINE)
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Typed:
    """A command that was given to the shell."""

    line: str
    printed: str
    seconds: float
    """From its start to its end."""
    cpu: float
    """Seconds of CPU time of what it ran."""


@dataclass(frozen=True)
class Part:
    """What was done under one heading of a page."""

    heading: str
    words: int
    """Of its prose."""
    typed: tuple[Typed, ...]

    @property
    def own_seconds(self) -> float:
        """What reading and typing take, by two rules of thumb."""
        strokes = sum(len(one.line) for one in self.typed)
        return 60 * (self.words / WORDS_A_MINUTE + strokes / STROKES_A_MINUTE)

    @property
    def waited(self) -> float:
        """Seconds for which the commands ran."""
        return sum(one.seconds for one in self.typed)

    @property
    def cpu(self) -> float:
        """Seconds of CPU time that they took."""
        return sum(one.cpu for one in self.typed)


class Shell:
    """One shell for as long as a newcomer sits before it."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        """Start it in a folder, with these variables and nothing else in its environment."""
        self._cpu = 0.0
        self._process = subprocess.Popen(
            ["/bin/bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, line: str, code: int = 0) -> Typed:
        """Give it a command and wait until that has ended.

        Raises:
            SystemExit: It ended otherwise than its page says.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        started = time.monotonic()
        ask = 'ended=$?; echo; times; printf "\\n@@done %d@@\\n" $ended'
        process.stdin.write(f"{line}\n{ask}\n")
        process.stdin.flush()
        heard = ""
        while (ended := _DONE.search(heard)) is None:
            one = process.stdout.readline()
            if not one:
                sys.exit(f"the shell ended at $ {line}\n{heard}")
            heard += one
        seconds = time.monotonic() - started
        told = _ESCAPES.sub("", heard[: ended.start()])
        own, children = list(_TIMES.finditer(told))[-2:]
        printed = told[: own.start()].strip("\n")
        before, self._cpu = self._cpu, sum(map(_seconds, children.groups()))
        print(f"{seconds:8.1f} s  $ {line}", flush=True)
        if int(ended[1]) != code:
            sys.exit(f"$ {line}\nended with {ended[1]}, the page says {code}:\n{printed}")
        return Typed(line, printed, seconds, self._cpu - before)

    def end(self) -> None:
        """Leave it."""
        self._process.communicate("exit\n", timeout=60)


def main() -> None:
    """Follow the pages, and write the transcript."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    with tempfile.TemporaryDirectory(prefix="newcomer-") as home, moto_server() as moto:
        folder = Path(home)
        small_photographs(folder / "photos")
        shell = Shell(folder, _environment(folder, wheel))
        parts = {"laptop.md": follow("laptop.md", shell)}
        PAGE.write_text(written(parts, folder), "utf-8")
        client = moto.client()
        for name in ("my-photos", "my-archive"):
            client.create_bucket(Bucket=name)
        for path in (folder / "photos").rglob("*.*"):
            key = path.relative_to(folder / "photos").as_posix()
            client.upload_file(str(path), "my-photos", key)
        parts["bucket.md"] = follow("bucket.md", shell, moto.environment)
        PAGE.write_text(written(parts, folder), "utf-8")
        parts["the demo"] = [demo(shell)]
        shell.end()
        PAGE.write_text(written(parts, folder), "utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written")


def _environment(home: Path, wheel: Path) -> dict[str, str]:
    """What a newcomer's shell has: no trace of a checkout, nor of an earlier run."""
    usual = ("/usr/local/bin", "/usr/bin", "/bin")
    python = os.environ.get("PYTHON", "python3.11")
    found = subprocess.run(  # noqa: S603 - the interpreter that the owner names
        [python, "-c", "import sys; print(sys.base_prefix)"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    configured = Path.home() / ".config" / "pip" / "pip.conf"
    if configured.exists():  # where this machine gets packages from is the machine's affair
        pip.setdefault("PIP_CONFIG_FILE", str(configured))
    links = f"{pip.get('PIP_FIND_LINKS', '')} {wheel.parent}".strip()
    # What was downloaded for an earlier trial is not downloaded again.
    pip.setdefault("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    return pip | {
        "HOME": str(home),
        "PATH": ":".join((f"{found}/bin", *usual)),
        "LANG": "C.UTF-8",
        "COLUMNS": "100",
        "TERM": "dumb",
        "PIP_FIND_LINKS": links,
        "PIP_QUIET": "1",
    }


def follow(name: str, shell: Shell, store: Mapping[str, str] | None = None) -> list[Part]:
    """Do what a page says, heading by heading.

    Args:
        name: Of the page, in docs/start.
        shell: Where its commands go.
        store: Variables that lead to a store, in place of those with dots on the page.
    """
    page = DOCS / "start" / name
    parts = []
    for heading, text in sections(page.read_text("utf-8")):
        typed = [one for block in blocks_in(text) for one in _do(block, shell, store or {})]
        parts.append(Part(heading, words_of(text), tuple(typed)))
    return parts


def _do(block: Block, shell: Shell, store: Mapping[str, str]) -> Iterator[Typed]:
    if block.kind != "console":
        return
    listed = list(commands(block.text))
    for command in listed:
        line = command.line
        if "..." in line or "example.org" in line:
            for variable, value in store.items():
                if variable in line:
                    shell.run(f"export {variable}={value}")
            yield Typed(line, "", 0.0, 0.0)
        elif line.startswith("pip install 'refold[openvino"):
            yield shell.run(f"pip install {_torch()}")
            yield shell.run(line)
        elif line.startswith(SERVES):
            yield _serve(line, shell)
        else:
            yield shell.run(line, block.ends_with if command is listed[-1] else 0)


def _torch() -> str:
    """What the page says to install first on a machine without a GPU."""
    (pinned,) = re.findall(r"^torch==.*$", CONSTRAINTS.read_text("utf-8"), re.MULTILINE)
    return str(pinned)


def _serve(line: str, shell: Shell) -> Typed:
    """Start the service, ask for its first page as a browser would, and end it."""
    started = time.monotonic()
    shell.run(f"{line} > served.txt 2>&1 &")
    while True:
        try:
            with urllib.request.urlopen("http://127.0.0.1:8080", timeout=10) as answer:
                page = answer.read().decode()
                break
        except (urllib.error.URLError, OSError):
            if time.monotonic() - started > LONGEST:
                sys.exit(f"$ {line}\nnobody answers: {shell.run('cat served.txt').printed}")
            time.sleep(0.2)
    seconds = time.monotonic() - started
    ended = shell.run("kill -TERM %1; wait %1; true")
    title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)
    said = "" if title is None else f"the first page is “{title[1].strip()}”"
    return Typed(line, said, seconds, ended.cpu)


def demo(shell: Shell) -> Part:
    """What README says of a demo without a checkout."""
    typed = [shell.run("pip install 'refold[demo]'"), shell.run("refold demo")]
    return Part("The demo, from the wheel", 0, tuple(typed))


def sections(text: str) -> Iterator[tuple[str, str]]:
    """(heading, text below it) of a page."""
    for part in re.split(r"^(?=##? )", text, flags=re.MULTILINE):
        if part.strip():
            heading, _, below = part.partition("\n")
            yield heading.lstrip("# "), below


def blocks_in(text: str) -> list[Block]:
    """The fenced blocks of a part of a page."""
    with tempfile.NamedTemporaryFile("w", suffix=".md", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return blocks(Path(file.name))


def words_of(text: str) -> int:
    """How many words somebody reads, without what is printed and typed."""
    prose = re.sub(r"^ *```.*?^ *```$|<!--.*?-->", "", text, flags=re.MULTILINE | re.DOTALL)
    return len(prose.split())


def written(parts: Mapping[str, list[Part]], folder: Path) -> str:
    """The page."""
    laptop = parts["laptop.md"]
    headings = [one.heading for one in laptop]
    installed, restored = headings.index("Install") + 1, headings.index("Restore") + 1
    lines = [
        "# Transcript of a first hour",
        "",
        "A program followed [On a laptop](laptop.md) and [In a bucket](bucket.md) word for word,",
        "in an environment with nothing but the wheel, and ran the demo. `make trial` does it",
        "again and writes this page. A machine with "
        f"{os.cpu_count()} cores took as long as it says for each",
        "command; the CPU time is what it takes where nothing else runs beside. Reading is counted",
        f"at {WORDS_A_MINUTE} words a minute, typing at {STROKES_A_MINUTE} strokes.",
        "",
        "| from the first line of the page | reading and typing | CPU time | waiting |",
        "| --- | ---: | ---: | ---: |",
        _row("to the installed program", laptop[:installed]),
        _row("to the first restored photos, on a laptop", laptop[:restored]),
        *(_row(f"all of {page}", done) for page, done in parts.items()),
        "",
    ]
    for page, done in parts.items():
        lines += [f"## {page}" if page.startswith("the") else f"## [{page}]({page})", ""]
        for part in done:
            lines += _shown(part, folder)
    return "\n".join(lines).rstrip() + "\n"


def _row(name: str, parts: list[Part]) -> str:
    sums = (sum(times) for times in zip(*map(_times, parts), strict=True))
    return f"| {name} | {' | '.join(map(_time, sums))} |"


def _times(part: Part) -> tuple[float, float, float]:
    return part.own_seconds, part.cpu, part.waited


def _shown(part: Part, folder: Path) -> list[str]:
    if not part.typed:
        return []
    lines = [f"### {part.heading}", "", "```text"]
    for one in part.typed:
        after = (
            f"    # {one.cpu:.1f} s of CPU time, {one.seconds:.1f} s" if one.seconds >= 0.1 else ""
        )
        lines.append(f"$ {one.line}{after}")
        printed = one.printed.replace(str(folder), "~").splitlines()
        kept = [line.rstrip() for line in printed if line.strip() and not _is_of_pip(line)]
        if len(kept) > MOST_LINES:
            more = len(kept) - MOST_LINES
            kept = [*kept[:MOST_LINES], f"[{more} more lines]"]
        lines += kept
    return [*lines, "```", ""]


def _is_of_pip(line: str) -> bool:
    """Whether pip tells where it looks, which is this machine's affair, or how it gets on."""
    return line.startswith(
        (
            "Looking in",
            "Requirement already",
            "[notice]",
            "WARNING: Running pip",
            "WARNING: Location",
        )
    )


def _seconds(minutes: str) -> float:
    """Of a time as a shell writes it, such as `1m2.5s`."""
    whole, _, rest = minutes.rstrip("s").partition("m")
    return 60 * int(whole) + float(rest)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


if __name__ == "__main__":
    main()
