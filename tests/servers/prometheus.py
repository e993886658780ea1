"""Prometheus' own programs, from Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.servers.debian import CACHE, DebianPackages

HOW_TO = (
    "The alerts are tried by promtool. Where that is not installed, it is fetched with apt-get "
    f"from Debian into {CACHE / 'prometheus'} (about 20 MB) and run from there. Where that does "
    "not work, install it yourself (promtool on the PATH), or set REFOLD_NO_PROMETHEUS=1 to leave "
    "this test out."
)


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool; what it says is the caller's to judge.

    Raises:
        ServerError: It cannot be had; the message says what to do.
    """
    found = shutil.which("promtool")
    if found is None:
        packages = DebianPackages(CACHE / "prometheus", ("prometheus",), HOW_TO)
        found = str(packages.root() / "usr" / "bin" / "promtool")
    environment = {**os.environ, "GOMAXPROCS": "1"}
    return subprocess.run(
        [found, *arguments], capture_output=True, text=True, env=environment, timeout=120
    )
