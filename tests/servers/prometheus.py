"""Prometheus' own programs, from Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.servers.debian import CACHE, DebianPackages

HOW_TO = (
    "Metrics and alerts are tried by Prometheus and promtool. Where they are not installed, they "
    f"are fetched with apt-get from Debian into {CACHE / 'prometheus'} (about 20 MB) and run from "
    "there. Where that does not work, install them yourself (on the PATH), or set "
    "REFOLD_NO_PROMETHEUS=1 to leave these tests out."
)


def program(name: str) -> str:
    """Where `prometheus` or `promtool` is.

    Raises:
        ServerError: It cannot be had; the message says what to do.
    """
    if found := shutil.which(name):
        return found
    packages = DebianPackages(CACHE / "prometheus", ("prometheus",), HOW_TO)
    return str(packages.root() / "usr" / "bin" / name)


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; what it says is the caller's to judge."""
    return subprocess.run(
        [program("promtool"), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "GOMAXPROCS": "1"},
        timeout=120,
    )
