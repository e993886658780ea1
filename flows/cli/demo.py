"""`refold demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import Verbose


def demo(
    folder: Annotated[
        Path, typer.Argument(help="Folder to leave the results in. It is made, or made again.")
    ] = Path("demo-output"),
    verbose: Verbose = False,
) -> None:
    """Archive and restore a few real photographs, and leave a page that shows the difference."""
    from flows.demo import run

    run(folder)
