"""Azurite, Microsoft's own emulator of Azure Blob Storage, from the npm registry."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.debian import CACHE
from tests.servers.processes import ServerError, free_port, start, stop, wait_for_http

VERSION = "3.37.0"
ACCOUNT = "devstoreaccount1"
# The key that every Azurite has: it is published, and opens nothing else.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

HOW_TO = "Install Node.js with npm, or set REFOLD_NO_AZURITE=1 to go without these tests."


@contextmanager
def azurite_server() -> Iterator[dict[str, str]]:
    """Run one for as long as the context lasts; what a process needs in its environment."""
    port = free_port()
    command = [str(_program()), "--silent", "--inMemoryPersistence", "--skipApiVersionCheck"]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    with tempfile.TemporaryDirectory(prefix="azurite-") as folder:
        log = Path(folder) / "log"
        process = start(command, log, folder=Path(folder))
        try:
            url = f"http://127.0.0.1:{port}/{ACCOUNT}"
            wait_for_http(url, process, log, 60)
            stated = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};"
            yield {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{stated}"}
        finally:
            stop(process)


def _program() -> Path:
    """The emulator, installed into the cache of the checkout if it is not there."""
    folder = CACHE / f"azurite-{VERSION}"
    program = folder / "node_modules" / ".bin" / "azurite-blob"
    if program.exists():
        return program
    npm = shutil.which("npm")
    if npm is None:
        raise ServerError(f"Azurite cannot be had without npm. {HOW_TO}")
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund"]
    done = subprocess.run([*command, f"azurite@{VERSION}"], capture_output=True, text=True)
    if done.returncode or not program.exists():
        raise ServerError(f"npm could not install Azurite:\n{done.stderr[-2000:]}\n{HOW_TO}")
    return program
