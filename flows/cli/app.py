"""Wires the commands together and turns errors into one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import cache

import typer

from flows.cli import endings, places
from flows.cli.console import Mode, err, one_line, print_json
from flows.cli.examples import examples_of
from flows.cli.exits import Exit, exit_of, is_expected
from flows.cli.quiet import quiet_libraries
from rescaling_core import __version__
from tasks.storage.secrets import refuse_credentials

app = typer.Typer(
    name="refold",
    help="Archive image collections as small images that can be restored.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        typer.echo(f"refold {__version__}")
        raise typer.Exit


@cache
def _register() -> None:
    from flows.cli import (
        archive,
        backfill,
        catalog,
        demo,
        doctor,
        evaluate,
        export,
        maintain,
        models,
        plan,
        rebuild,
        report,
        restore,
        retire,
        scrub,
        serve,
        train,
    )

    _add("archive", archive.archive)
    _add("plan", plan.plan)
    _add("restore", restore.restore)
    _add("rebuild", rebuild.rebuild)
    _add("scrub", scrub.scrub)
    _add("backfill", backfill.backfill)
    _add("retire", retire.retire)
    _add("maintain", maintain.maintain)
    _add("export", export.export)
    _add("report", report.report)
    _add("ls", catalog.ls)
    _add("show", catalog.show)
    _add("serve", serve.serve)
    _add("doctor", doctor.doctor)
    _add("demo", demo.demo)
    _add("evaluate", evaluate.evaluate)
    _add("train", train.train)
    app.add_typer(models.models_app, name="models")


def _add(name: str, command: Callable[..., None]) -> None:
    app.command(name, epilog=examples_of(name))(command)


def main() -> None:
    """Run the command. Its exit code is one of `Exit`."""
    endings.watch()
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    if code == Exit.INTERRUPTED or endings.exit_code() is not None:
        endings.was_told()
    # Whatever it raised in the libraries, a signal is what ended the command.
    endings.leave(endings.exit_code() or code)


def run(arguments: Sequence[str]) -> int:
    """Run the command in this process and return its exit code.

    Args:
        arguments: Without the name of the program.
    """
    # Read from the text as well, for errors that are found before the options are.
    Mode.verbose, Mode.json = "--verbose" in arguments, "--json" in arguments
    Mode.printed = False
    quiet_libraries(verbose=Mode.verbose)
    try:
        for argument in arguments:  # before anything can record them
            refuse_credentials(argument)
        Mode.places = places.prepare()
        _register()
        # Not standalone: what is wrong with the arguments is then told as all other errors are.
        code = app(args=list(arguments), standalone_mode=False)
    except typer.Abort:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost line: a bug becomes one line too
        if endings.exit_code() is not None:  # it has been said
            return Exit.FAILED
        if isinstance(error, typer.TyperException):
            message = error.format_message()  # empty where the help was printed
            return _fail(Exit.USAGE, error, message) if message else Exit.USAGE
        if is_expected(error):
            return _fail(exit_of(error), error, str(error))
        return _fail(Exit.FAILED, error, f"internal error: {type(error).__name__}: {error}")
    return code if isinstance(code, int) else Exit.DONE


def _fail(code: Exit, error: Exception, message: str) -> Exit:
    """Say what ended the command: in one line, and as the JSON value where one was asked for."""
    if Mode.verbose:
        err.print_exception()
    err.print(f"refold: {one_line(message)}", style="red")
    if Mode.json and not Mode.printed:
        kind = type(error).__name__ if is_expected(error) else "InternalError"
        if isinstance(error, typer.TyperException):
            kind = "UsageError"
        told = {"kind": kind, "message": message, "exit_code": int(code)}
        if is_expected(error):
            told["page"] = f"docs/errors.md#{kind.lower()}"
        print_json({"error": told})
    return code
