"""A Prefect server and a process worker, as an operator would start them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import ServerError, free_port, start, stop, tail, wait_for_http

POOL = "refold"


@dataclass(frozen=True)
class Deployed:
    """A server with the deployments of `infra/prefect.yaml`, and a worker that serves them."""

    api: str
    """URL of the API; the UI is the same without `/api`."""
    worker_log: Path
    environment: Mapping[str, str]
    """Of whoever talks to this server."""

    def python(self, *arguments: str) -> str:
        """What a Python program prints that uses this server."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            raise ServerError(f"{arguments}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def client(self) -> object:
        """A synchronous client of this server, not of the test run's."""
        from prefect.client.orchestration import SyncPrefectClient

        return SyncPrefectClient(self.api)


@contextmanager
def deployed(checkout: Path, variables: Mapping[str, str]) -> Iterator[Deployed]:
    """Go the way of docs/operations.md, with the server's data in a folder of its own.

    Args:
        checkout: What is deployed.
        variables: REFOLD_SOURCE and REFOLD_ARCHIVE.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="prefect-") as folder:
        home = Path(folder)
        api = f"http://127.0.0.1:{port}/api"
        environment = {
            **os.environ,
            "PREFECT_HOME": folder,
            "PREFECT_API_URL": api,
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "OMP_NUM_THREADS": "1",
            "REFOLD_HOME": str(checkout),
            **variables,
        }
        command = [sys.executable, "-m", "prefect"]

        def prefect(*arguments: str) -> None:
            done = subprocess.run(
                [*command, *arguments],
                cwd=checkout,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
            )
            if done.returncode:
                raise ServerError(f"prefect {' '.join(arguments)}:\n{done.stdout}{done.stderr}")

        server_log, worker_log = home / "server.log", home / "worker.log"
        serve = [*command, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        server = start(serve, server_log, environment, checkout)
        try:
            wait_for_http(f"{api}/health", server, server_log, 240)
            prefect("work-pool", "create", POOL, "--type", "process")
            prefect("--no-prompt", "deploy", "--all", "--prefect-file", "infra/prefect.yaml")
            work = [*command, "worker", "start", "--pool", POOL]
            worker = start(work, worker_log, environment, checkout)
            try:
                yield Deployed(api, worker_log, environment)
                if worker.poll() is not None:
                    raise ServerError(f"the worker ended:\n{tail(worker_log)}")
            finally:
                stop(worker)
        finally:
            stop(server)
