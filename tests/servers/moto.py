"""moto's S3 server: the everyday one."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.endpoint import S3Endpoint
from tests.servers.processes import free_port, start, stop, wait_for_http


@contextmanager
def moto_server() -> Iterator[S3Endpoint]:
    """Run one for as long as the context lasts."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with tempfile.TemporaryDirectory(prefix="moto-") as folder:
        log = Path(folder) / "log"
        process = start(command, log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for_http(url, process, log, 60)
            yield S3Endpoint("moto", url, "testing", "testing")
        finally:
            stop(process)
