"""Wires the commands together and turns errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Final

import typer

from flows.cli.console import EXIT_FAILED, EXIT_USAGE, Verbosity, err
from rescaling_core import __version__
from rescaling_core.errors import RefoldError, UsageError
from tasks.storage.secrets import refuse_credentials

# Read when Prefect and Ray are first imported, which the commands do as late as they can.
_QUIET: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_LOGGING_LEVEL": "ERROR",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

app = typer.Typer(
    name="refold",
    help="Archive image collections as small images that can be restored.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        typer.echo(f"refold {__version__}")
        raise typer.Exit


def _register() -> None:
    from flows.cli import (
        archive,
        backfill,
        catalog,
        evaluate,
        maintain,
        models,
        plan,
        rebuild,
        report,
        restore,
        retire,
        scrub,
        train,
    )

    app.command("archive")(archive.archive)
    app.command("plan")(plan.plan)
    app.command("restore")(restore.restore)
    app.command("rebuild")(rebuild.rebuild)
    app.command("scrub")(scrub.scrub)
    app.command("backfill")(backfill.backfill)
    app.command("retire")(retire.retire)
    app.command("maintain")(maintain.maintain)
    app.command("report")(report.report)
    app.command("ls")(catalog.ls)
    app.command("show")(catalog.show)
    app.command("evaluate")(evaluate.evaluate)
    app.command("train")(train.train)
    app.add_typer(models.models_app, name="models")


def quiet_libraries(*, verbose: bool = False) -> None:
    """Set the libraries' own knobs, where the user has not; before they are imported."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if verbose:
        os.environ["PREFECT_LOGGING_LEVEL"] = "INFO"


def main() -> None:
    """Run the command; exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with quarantine."""
    quiet_libraries(verbose="--verbose" in sys.argv)
    _register()
    try:
        for argument in sys.argv[1:]:  # before anything can record them
            refuse_credentials(argument)
        app()
    except UsageError as error:
        _fail(error, EXIT_USAGE)
    except (RefoldError, OSError) as error:
        _fail(error, EXIT_FAILED)
    except Exception as error:  # noqa: BLE001 - the outermost line: a bug becomes one line too
        _fail(error, EXIT_FAILED, f"internal error: {type(error).__name__}: ")


def _fail(error: Exception, code: int, prefix: str = "") -> None:
    if Verbosity.on:
        err.print_exception()
    else:
        err.print(f"refold: {prefix}{error}", style="red")
    sys.exit(code)
