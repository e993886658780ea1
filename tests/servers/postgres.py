"""PostgreSQL from Debian, with a database for Prefect, as `infra/compose.yaml` has it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from tests.servers.debian import CACHE, DebianPackages
from tests.servers.processes import ServerError, free_port, start, stop, tail

HOW_TO: Final = (
    "Prefect's server is tried on PostgreSQL. Where it is not installed, it is fetched with "
    f"apt-get from Debian into {CACHE / 'postgresql'} (about 60 MB) and run from there. Where that "
    "does not work, install it yourself (Debian's package `postgresql`)."
)
COMPOSE: Final = Path(__file__).parents[2] / "infra" / "compose.yaml"
PASSWORD: Final = "for-a-test"
PATIENCE: Final = 120.0
"""Seconds until it must answer."""


@contextmanager
def prefects_database() -> Iterator[str]:
    """A server of its own for as long as the context lasts.

    Yields:
        The URL of the database, as the compose file gives it to Prefect's server.

    Raises:
        ServerError: PostgreSQL cannot be had or does not start.
    """
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    user = services["postgres"]["environment"]["POSTGRES_USER"]
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder, port = Path(name), free_port()
        password = folder / "password"
        password.write_text(PASSWORD)
        become = _as_another(folder)
        data = str(folder / "data")
        _run(*become, _program("initdb"), "-D", data, "--no-sync", "--encoding", "UTF8",
             "--auth", "scram-sha-256", "--username", user, "--pwfile", str(password))  # fmt: skip
        log = folder / "log"
        server = start(
            [*become, _program("postgres"), "-D", data, "-p", str(port), "-c",
             "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
            log,
        )  # fmt: skip
        try:
            _wait(port, user, log)
            database = services["postgres"]["environment"]["POSTGRES_DB"]
            _run(_program("createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", user, database)
            url = services["prefect"]["environment"]["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
            yield url.replace("${POSTGRES_PASSWORD}", PASSWORD).replace(
                "@postgres:5432/", f"@127.0.0.1:{port}/"
            )
        finally:
            stop(server)


def _as_another(folder: Path) -> list[str]:
    """What a command begins with where this process is root's, whom PostgreSQL refuses to serve."""
    if os.geteuid() != 0:
        return []
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, "nobody", "nogroup")
    return ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
            "--pdeathsig", "TERM"]  # fmt: skip


def _program(name: str) -> str:
    """Of the newest version that is installed, else of Debian's package."""
    programs = f"usr/lib/postgresql/*/bin/{name}"
    found = list(Path("/").glob(programs))
    if not found:
        unpacked = DebianPackages(CACHE / "postgresql", ("postgresql",), HOW_TO).root()
        found = list(unpacked.glob(programs))
    if not found:
        raise ServerError(f"PostgreSQL's package has no {name}. {HOW_TO}")
    return str(max(found, key=lambda path: int(path.parents[1].name)))


def _wait(port: int, user: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    asked = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-U", user]
    while subprocess.run(asked, check=False).returncode:
        if time.monotonic() > deadline:
            raise ServerError(f"PostgreSQL did not answer within {PATIENCE:.0f} s:\n{tail(log)}")
        time.sleep(0.2)


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        env={**os.environ, "PGPASSWORD": PASSWORD, "LC_ALL": "C.UTF-8"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServerError(f"{' '.join(command)}: {done.stderr or done.stdout}")
