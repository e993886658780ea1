"""Prefect's server for the time of a command, where none is named.

Prefect would start one by itself, but waits for it only once, ends the run when it dies, and lets
it write tracebacks between what the command says.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final

import httpx
import prefect
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    get_current_settings,
    temporary_settings,
)

from rescaling_core.errors import RefoldError

TRIES: Final = 3
"""Times that the server is started until it answers."""

RESTARTS: Final = 3
"""Times that a server which died is started again."""

PATIENCE_AT_THE_END: Final = 5.0
"""Seconds that it may take to end, and to be told what it has not been told yet."""

RETRIES: Final = 4
"""Times that a server of our own is told again what it did not take: for half a minute, in which
one that died is up again. Prefect's own are for a minute, with each of half a dozen things."""

RETRIES_AT_THE_END: Final = 2
"""Times that it is told again what makes no difference to the work: for six seconds."""

LEAN: Final = {
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",  # kinds of storage, for its pages
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",  # automations
    "PREFECT_SERVER_EVENTS_STREAM_OUT_ENABLED": "false",  # what others may watch live
    "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "false",
}
"""What a server for one run does without: seconds of CPU time at every start. The variables that
the owner has set come after these."""


class ServerStartError(RefoldError):
    """Prefect's server did not start."""


class ServerUnreachableError(RefoldError):
    """Prefect's server was not to be reached before a run began."""


@contextmanager
def in_short() -> Iterator[None]:
    """Tell Prefect inside only what it takes at once: the work is done."""
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: RETRIES_AT_THE_END}):
        yield


def is_unreachable(error: BaseException) -> bool:
    """Whether an error of Prefect's client says that there is no server, or none that works."""
    return isinstance(error, httpx.HTTPError) or "Failed to reach API" in str(error)


@contextmanager
def prefect_server() -> Iterator[None]:
    """Have the flows inside report to the server that is configured, or to one of their own.

    Raises:
        ServerStartError: One of their own does not start, however often it is tried.
    """
    if PREFECT_API_URL.value():
        try:
            yield
        except Exception:  # of all ends but a signal, for which there is no time
            _tell_the_rest()
            raise
        _tell_the_rest()
        return
    with tempfile.TemporaryDirectory(prefix="refold-", ignore_cleanup_errors=True) as folder:
        server = _Server(Path(folder) / "prefect.log")
        try:
            server.start()
            ours = {PREFECT_API_URL: f"{server.url}/api", PREFECT_CLIENT_MAX_RETRIES: RETRIES}
            with temporary_settings(ours):
                yield
                _tell_the_rest()
        finally:
            server.stop()


class _Server:
    """A process of uvicorn; should it die, it is started again on the same port."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = Event()
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        patience = PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.value()
        for _ in range(TRIES):
            self._launch()
            if self._answers_within(patience):
                Thread(target=self._keep_alive, name="prefect-server", daemon=True).start()
                return
            self._end()
            self._port = _free_port()
        raise ServerStartError(
            f"Prefect's server did not answer within {patience} s, in {TRIES} tries; is this "
            "machine very busy? Set PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS to wait "
            f"longer, or PREFECT_API_URL to use another one. Its last words: {self._last_words()}"
        )

    def stop(self) -> None:
        self._stopping.set()
        self._end()

    def _launch(self) -> None:
        with self._lock, self._log.open("ab") as log:
            if self._stopping.is_set():
                return
            self._process = subprocess.Popen(  # noqa: S603 - nothing of it is anyone's input
                [
                    *(sys.executable, "-m", "uvicorn", "--log-level", "error", "--lifespan", "on"),
                    *("--app-dir", str(prefect.__module_path__.parent)),
                    *("--factory", "prefect.server.api.server:create_app"),
                    *("--host", "127.0.0.1", "--port", str(self._port)),
                ],
                env={
                    **LEAN,
                    **os.environ,
                    # As Prefect sets them for a server of this kind.
                    "PREFECT_UI_ENABLED": "0",
                    "PREFECT__SERVER_EPHEMERAL": "1",
                    "PREFECT__SERVER_FINAL": "1",
                    **get_current_settings().to_environment_variables(exclude_unset=True),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the command, which then ends it
            )

    def _answers_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                return False
            try:
                urllib.request.urlopen(f"{self.url}/api/health", timeout=5).close()  # noqa: S310
            except OSError:
                time.sleep(0.1)
            else:
                return True
        return False

    def _keep_alive(self) -> None:
        for _ in range(RESTARTS):
            assert self._process is not None
            self._process.wait()
            if self._stopping.is_set():
                return
            self._launch()

    def _end(self) -> None:
        with self._lock:
            if self._process is None:
                return
            self._process.terminate()
            try:
                self._process.wait(PATIENCE_AT_THE_END)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "none"


def _tell_the_rest() -> None:
    """Send what Prefect's threads have still to tell the server, before it ends."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=PATIENCE_AT_THE_END)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
