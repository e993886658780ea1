"""Runs several commands in one process, as a user's shell would run each in its own.

    python -m tests.several FOLDER COMMANDS

COMMANDS is a JSON list of lists of arguments. FOLDER/told is a JSON list of what each left behind:
its code, and all that anything of this process wrote to standard output and to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from flows.cli import app, places
from tests.command import logging_as_it_was


@contextmanager
def _written_to(number: int, path: Path) -> Iterator[None]:
    """Have all that is written to a file descriptor, by whom ever, written to a file."""
    stream = sys.stdout if number == 1 else sys.stderr
    stream.flush()
    usual = os.dup(number)
    with path.open("wb") as file:
        os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        stream.flush()
        os.dup2(usual, number)
        os.close(usual)


def _run(arguments: Sequence[str], folder: Path) -> tuple[int, str, str]:
    out, err = folder / "out", folder / "err"
    variables = dict(os.environ)
    try:
        with logging_as_it_was(), _written_to(1, out), _written_to(2, err):
            code = int(app.run(arguments))
    finally:  # the command sets some for the libraries that it is about to import
        os.environ.clear()
        os.environ.update(variables)
    return code, out.read_text(), err.read_text()


def main(folder: Path, commands: Sequence[Sequence[str]]) -> None:
    """Run the commands, with one Prefect server for all of them."""
    places.prepare()  # as a command does, before Prefect is imported
    from tasks.control.server import prefect_server

    with nullcontext() if "PREFECT_API_URL" in os.environ else prefect_server():
        told = [_run(arguments, folder) for arguments in commands]
    (folder / "told").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
