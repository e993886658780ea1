"""Prometheus' own programs, from Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.servers.debian import CACHE, DebianPackages
from tests.servers.processes import free_port, start, stop, wait_for_http

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


@contextmanager
def prometheus_server(folder: Path, told: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """Run one for as long as the context lasts.

    Args:
        folder: For what it writes.
        told: Its configuration.

    Yields:
        Its address, and its log.
    """
    (folder / "prometheus.yml").write_text(yaml.safe_dump(dict(told)))
    port, log = free_port(), folder / "prometheus.log"
    command = [
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/metrics",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    process = start(command, log, {**os.environ, "GOMAXPROCS": "1"})
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for_http(f"{url}/-/ready", process, log, 60)
        yield url, log
    finally:
        stop(process)
