"""moto's S3 server: the everyday one."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.servers.endpoint import S3Endpoint
from tests.servers.processes import free_port, start, stop, wait_for_http

KEEPING_ALIVE: Final = """
from moto.server import main
from werkzeug.serving import WSGIRequestHandler

WSGIRequestHandler.protocol_version = "HTTP/1.1"
main()
"""


@contextmanager
def moto_server(*, keeps_alive: bool = False, log: Path | None = None) -> Iterator[S3Endpoint]:
    """Run one for as long as the context lasts.

    Args:
        keeps_alive: Whether it takes many requests over one connection, as S3 itself does.
        log: A file for its log, which names every request; by default one that goes with it.
    """
    port = free_port()
    program = ["-c", KEEPING_ALIVE] if keeps_alive else ["-m", "moto.server"]
    command = [sys.executable, *program, "-H", "127.0.0.1", "-p", str(port)]
    with tempfile.TemporaryDirectory(prefix="moto-") as folder:
        log = log or Path(folder) / "log"
        process = start(command, log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for_http(url, process, log, 60)
            yield S3Endpoint("moto", url, "testing", "testing")
        finally:
            stop(process)
