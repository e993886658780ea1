"""How the command speaks: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from math import isinf
from typing import Annotated, Any, Final
from unicodedata import category

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from flows.cli import reaper
from flows.cli.places import Places
from tasks.control import progress
from tasks.pages.words import size_text

_COMMANDING: Final = frozenset({"Cc", "Zl", "Zp"})
"""Categories of control characters, and of those that end lines and paragraphs."""
_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_WIDER_THAN_ANY: Final = 10_000
_WIDTH_OF_A_FILE: Final = 160
"""Columns of a table that nobody's terminal limits."""


class _PlainConsole(Console):
    """Prints keys and reasons as they are: nothing in them is markup, or commands a terminal."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(
            stderr=stderr,
            width=width,
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=True,
        )

    def render_str(self, text: str, *args: Any, **options: Any) -> Text:
        return super().render_str(_harmless(text), *args, **options)


def _harmless(text: str) -> str:
    """Characters that command a terminal as their escapes; stores allow them in keys.

    Those that turn the direction of writing make a name be read as another one.
    """
    return "".join(
        one
        if one in "\n\t" or (category(one) not in _COMMANDING and one not in _TURNING)
        else _escape(one)
        for one in text
    )


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


out = _PlainConsole(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE)
err = _PlainConsole(stderr=True)


class Mode:
    """How the user asked the command to speak."""

    verbose: bool = False
    """Show tracebacks and the libraries' own logs."""
    json: bool = False
    """Print one JSON value on standard output, on failure too."""
    places: Places | None = None
    """Where it may write."""
    printed: bool = False
    """Whether that value has been printed."""


Verbose = Annotated[bool, typer.Option("--verbose", help="Show tracebacks and logs.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON value on standard output and nothing else.")
]


def print_json(value: Any) -> None:
    """Print one JSON value on standard output; what is infinite is a text, as JSON has no such."""
    Mode.printed = True
    typer.echo(json.dumps(_finite(value), ensure_ascii=False, indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and isinf(value):
        return "inf"
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def one_line(text: str) -> str:
    """A message of a library, which may have several lines, as one."""
    return " ".join(text.split())


def print_table(table: Table) -> None:
    """Print a table, or each of its rows as a block of lines where the terminal is too narrow.

    Columns that do not fold would push the others out of sight.
    """
    roomy = out.options.update(max_width=_WIDER_THAN_ANY)
    if out.measure(table, options=roomy).minimum <= out.width:
        out.print(table)
        return
    if table.title:
        out.print(table.title)
    names = [str(column.header) for column in table.columns]
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        first, *others = zip(names, cells, strict=True)
        out.print(str(first[1]))
        for name, cell in others:
            if str(cell):
                out.print(f"  {name}: {cell}")


class _NotOfPrefect(logging.Filter):
    """Prefect tells of every error a second time, with a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.name.startswith("prefect")


def _quiet_prefect() -> None:
    """Leave it to this command to say what went wrong; Prefect's server keeps the rest."""
    logging.raiseExceptions = False  # else a log that does not reach the server is told of
    for handler in logging.getLogger().handlers:
        handler.addFilter(_NotOfPrefect())


@contextmanager
def progress_bar(title: str, *, passing: bool = False) -> Iterator[None]:
    """Draw a bar on standard error from the progress events of what is run inside.

    Should the command be killed, the server that the flow may have started is ended for it. What
    libraries print meanwhile goes to standard error too: Ray's messages about lost workers would
    otherwise stand before the JSON.

    Args:
        title: Stands before the bar.
        passing: Whether the bar goes when it is through, since another one follows.
    """
    reaper.start()
    if not Mode.verbose:
        _quiet_prefect()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[moved]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=passing) as bar:
        row = bar.add_task(title, total=None, moved="")

        def draw(event: progress.Progress) -> None:
            bar.update(
                row,
                description=f"{title}: {event.step}",
                completed=event.done,
                total=event.total,
                moved=size_text(event.nbytes) if event.nbytes else "",
            )

        with progress.listening(draw), redirect_stdout(sys.stderr):
            yield
