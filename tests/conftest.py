"""What tests share: S3 servers, Prefect, Ray. Each is started once, when first asked for."""

from __future__ import annotations

import logging
import os
import sys
import uuid

# Read when torch is first imported: small networks lose more by sharing cores than they gain.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Read when Prefect is first imported.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")

# Where a machine keeps no byte code, each of the hundreds of commands and workers that tests start
# would compile all of this project again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from hypothesis import settings

from tests import every_rescaler as kinds
from tests.command import Refold, RefoldHere
from tests.once import once_a_run
from tests.servers import azurite
from tests.servers import chromium as browser
from tests.servers.ceph_packages import HOW_TO
from tests.servers.endpoint import S3Endpoint
from tests.servers.moto import moto_server
from tests.servers.radosgw import radosgw_server

# A machine that is busy with other things is no reason for a test to fail.
settings.register_profile("busy machines", deadline=None)
settings.load_profile("busy machines")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Threads cost far more than they give on small networks and images, most on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SERVERS = {
    "azure_environment", "chromium", "moto", "prefect_server", "radosgw", "ray_local", "s3_server",
}  # fmt: skip
"""Fixtures that start processes which take seconds."""

SERVER_COMMANDS = ("azurite", "-m flows.cli", "gcs_server", "moto.server", "radosgw", "uvicorn")


class _Quick:
    """The test that runs, if it is one of `make quick`."""

    test: str | None = None


def _refuse_servers(event: str, arguments: tuple[Any, ...]) -> None:
    """Fail a test of `make quick` that starts a server, a Ray or a command."""
    if event != "subprocess.Popen" or _Quick.test is None:
        return
    command = " ".join(map(str, arguments[1]))
    if any(word in command for word in SERVER_COMMANDS):
        pytest.fail(f"{_Quick.test} starts {command[:200]}: it is to be marked slow")


sys.addaudithook(_refuse_servers)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server as slow, before `-m` chooses."""
    for item in items:
        wanted = {*getattr(item, "fixturenames", ())}
        if (call := getattr(item, "callspec", None)) is not None:  # some name one as a parameter
            named = {value for value in call.params.values() if isinstance(value, str)}
            wanted |= {value.partition(" by ")[0] for value in named}
        if wanted & SERVERS:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Know which test runs, its fixtures included, and draw the same weights for it every time."""
    torch.manual_seed(0)  # networks are built from the global state: a failure must come again
    _Quick.test = None if item.get_closest_marker("slow") else item.nodeid
    try:
        return (yield)
    finally:
        _Quick.test = None


@pytest.fixture(autouse=True)
def no_bug_is_an_outcome(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which a worker of this process caught an error that nobody foresaw.

    To the run it is the outcome of one object. Here it is a bug, unless the test is about it.
    """
    caught: list[str] = []

    class _Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            caught.append(self.format(record))

    listener, logger = _Listener(logging.ERROR), logging.getLogger("tasks.control.outcomes")
    logger.addHandler(listener)
    yield
    logger.removeHandler(listener)
    if caught and request.node.get_closest_marker("unexpected") is None:
        pytest.fail("\n".join(caught))


@pytest.fixture(scope="session")
def every_rescaler(tmp_path_factory: pytest.TempPathFactory) -> kinds.EveryRescaler:
    """A small archive with a rendition of every kind. Tests only read it."""
    return once_a_run(tmp_path_factory, "every-rescaler", kinds.make)


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Endpoint]:
    """The everyday S3 server."""
    with moto_server() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def radosgw() -> Iterator[S3Endpoint]:
    """The real S3 server."""
    if os.environ.get("REFOLD_NO_RADOSGW") == "1":
        pytest.skip(f"REFOLD_NO_RADOSGW=1 is set. {HOW_TO}")
    with radosgw_server() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def azure_environment() -> Iterator[dict[str, str]]:
    """What leads to an Azure Blob Storage emulator."""
    if os.environ.get("REFOLD_NO_AZURITE") == "1":
        pytest.skip(f"REFOLD_NO_AZURITE=1 is set. {azurite.HOW_TO}")
    with azurite.azurite_server() as environment:
        yield environment


@pytest.fixture
def azurite_url(azure_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a fresh container of the emulator; the environment leads there."""
    for name, value in azure_environment.items():
        monkeypatch.setenv(name, value)
    import adlfs

    name = f"test-{uuid.uuid4().hex[:12]}"
    adlfs.AzureBlobFileSystem(skip_instance_cache=True).mkdir(name)
    return f"abfs://{name}"


@pytest.fixture(scope="session")
def chromium() -> browser.Chromium:
    """A browser to look at image files with."""
    if os.environ.get("REFOLD_NO_BROWSER") == "1":
        pytest.skip(f"REFOLD_NO_BROWSER=1 is set. {browser.HOW_TO}")
    return browser.find_chromium()


def _use(endpoint: S3Endpoint, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point this process, and those it starts, to a server; return the URL of a fresh bucket."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in endpoint.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{endpoint.new_bucket()}"


@pytest.fixture
def moto_url(moto: S3Endpoint, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a fresh bucket on moto; the environment leads there."""
    return _use(moto, monkeypatch)


@pytest.fixture
def radosgw_url(radosgw: S3Endpoint, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a fresh bucket on radosgw; the environment leads there."""
    return _use(radosgw, monkeypatch)


@pytest.fixture(params=["moto", pytest.param("radosgw", marks=pytest.mark.radosgw)])
def s3_server(request: pytest.FixtureRequest) -> S3Endpoint:
    """Each S3 server in turn."""
    endpoint: S3Endpoint = request.getfixturevalue(request.param)
    return endpoint


@pytest.fixture
def s3_url(s3_server: S3Endpoint, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a fresh bucket on each S3 server in turn; the environment leads there."""
    return _use(s3_server, monkeypatch)


@pytest.fixture(params=["obstore", "s3fs"])
def store_client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each client that reads and writes whole objects in S3, in turn."""
    name: str = request.param
    monkeypatch.setenv("REFOLD_STORE_CLIENT", name)
    return name


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """URL of the API of a Prefect server with an empty database; flows called here use it."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    from tasks.control.server import LEAN

    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # as a command's own server
            for name, value in LEAN.items():
                patch.setenv(name, value)
            stack.enter_context(prefect_test_harness(server_startup_timeout=120))
        yield str(PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def ray_local() -> Iterator[Any]:
    """A local Ray with two CPUs; it inherited the environment of the moment it was started."""
    import ray

    from tasks.cluster.session import LOCAL_SETTINGS, without_what_nobody_needs

    with without_what_nobody_needs():
        ray.init(
            address="local",
            num_cpus=2,
            _system_config=LOCAL_SETTINGS,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    try:
        yield ray
    finally:
        ray.shutdown()


@pytest.fixture(scope="session")
def refold(prefect_server: str) -> Refold:
    """The `refold` command, which reports to the test run's Prefect server."""
    return Refold({"PREFECT_API_URL": prefect_server})


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What gives a command's own Prefect server a database, which the first one makes in seconds.

    It stands for the user's own, which is there from the first run on.
    """
    return {"PREFECT_HOME": str(tmp_path_factory.mktemp("prefect"))}


@pytest.fixture(scope="session")
def refold_here(prefect_server: str, ray_local: Any) -> RefoldHere:
    """The `refold` command in this process, with the Ray and the Prefect server of the test run."""
    return RefoldHere({"PREFECT_API_URL": prefect_server})


@pytest.fixture(scope="session")
def all_here(prefect_server: str) -> RefoldHere:
    """The `refold` command in this process, and its workers too: for tests that are about neither.

    Each worker that is a process of its own, of Ray's or not, imports for seconds.
    """
    return RefoldHere({"PREFECT_API_URL": prefect_server}, workers_here=True)
