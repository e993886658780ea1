"""`refold census`."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.console import Json, Verbose, out, print_json


def census(
    archive: Annotated[str, typer.Argument(help="URL or path of the archive.")],
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Count the renditions of ARCHIVE by target and state."""
    from flows.census import census as flow

    found = flow(archive=archive)
    if json:
        print_json(found)
        return
    for target, states in found.items():
        out.print(f"{target}: " + ", ".join(f"{n} {state}" for state, n in states.items()))
