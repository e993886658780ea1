"""One service over one archive, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from flows.cli.serve import configured
from flows.service.access import Keys
from flows.service.app import create_app
from flows.service.settings import ServeSettings
from tests.every_rescaler import EveryRescaler


def client_of(app: FastAPI) -> TestClient:
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


@pytest.fixture(scope="session")
def app(every_rescaler: EveryRescaler) -> FastAPI:
    return create_app({"archive": every_rescaler.url}, ServeSettings(), Keys((), anonymous=True))


@pytest.fixture(scope="session")
def client(app: FastAPI) -> TestClient:
    return client_of(app)


@pytest.fixture(scope="session")
def listed(client: TestClient) -> dict[str, dict[str, Any]]:
    """The renditions by their source keys."""
    answer = client.get("/v1/renditions", params={"limit": 500})
    return {one["key"]: one for one in answer.json()["renditions"]}


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The same over TCP, for programs that are no test client; gives its URL."""
    server = uvicorn.Server(configured(app, "127.0.0.1", 0))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    deadline = monotonic() + 60
    while not server.started and monotonic() < deadline:
        sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
