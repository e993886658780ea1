"""Whether a command line is one that `refold` takes, without running it."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from flows.cli.app import _register, app


def refuse_unknown(words: Sequence[str]) -> None:
    """Parse a command line as the command itself would.

    Raises:
        click.UsageError: It has no such command, option or argument, or lacks one.
    """
    program, name, *arguments = words
    assert program == "refold", words
    _register()
    group = typer.main.get_command(app)
    if name.startswith("-"):
        group.make_context(program, [name], resilient_parsing=True).close()
        assert name == "--help" or any(name in one.opts for one in group.params), words
        return
    command = group.commands[name]  # type: ignore[attr-defined]
    command.make_context(name, list(arguments)).close()
