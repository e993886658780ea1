"""Two replicas on two Ray nodes, as `refold serve --replicas 2` starts them on a cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from socket import create_connection, socket
from threading import Event
from typing import Any

import httpx
import psutil
import pytest
from ray.cluster_utils import Cluster

from flows.service.access import new_key
from flows.service.deployment import ENVIRONMENT, Deployed, build
from rescaling_core.errors import UsageError
from tasks.cluster.session import LOCAL_SETTINGS, without_what_nobody_needs
from tests.every_rescaler import EveryRescaler

REPLICA = "ray::ServeReplica"
CLIENTS = 8


@dataclass(frozen=True)
class Service:
    client: httpx.Client
    port: int
    ids: list[str]
    head: psutil.Process

    def hr(self, id: str) -> httpx.Response:
        return self.client.get(f"/v1/renditions/{id}/hr", params={"format": "png"})

    def replicas(self) -> set[int]:
        """Their processes."""
        found = psutil.process_iter(["cmdline"])
        return {one.pid for one in found if " ".join(one.info["cmdline"] or ()).startswith(REPLICA)}

    def answered(self) -> dict[str, float]:
        """Requests for restored images, by the replica that answered."""
        said = self.client.get("/metrics").text
        lines = [one for one in said.splitlines() if one.startswith("refold_requests_total")]
        return {
            line.split('replica="')[1].split('"')[0]: float(line.split()[-1])
            for line in lines
            if 'route="/v1/renditions/{id}/hr"' in line
        }


def _free_port() -> int:
    with socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def service(
    every_rescaler: EveryRescaler, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    handler = signal.getsignal(signal.SIGTERM)  # Ray puts its own there
    node: dict[str, Any] = {"num_cpus": 1}
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)  # which the nodes inherit
    with without_what_nobody_needs():
        cluster = Cluster(
            initialize_head=True, head_node_args={**node, "_system_config": LOCAL_SETTINGS}
        )
        cluster.add_node(**node)
    signal.signal(signal.SIGTERM, handler)
    restored = tmp_path_factory.mktemp("jobs") / "restored"
    port = _free_port()
    command = [sys.executable, "-m", "flows.cli", "serve", every_rescaler.url]
    command += ["--replicas", "2", "--port", str(port)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True,
        env=os.environ | {
            "RAY_ADDRESS": cluster.address, "REFOLD_SERVE_DESTINATIONS": str(restored),
        },
    )  # fmt: skip
    try:
        assert process.stdout is not None
        # Ray writes what its own processes complain about there too.
        assert any(line.startswith("serving on") for line in process.stdout), "it did not start"
        # One connection for each request, so that both proxies get some: each prefers its own node.
        limits = httpx.Limits(max_connections=2 * CLIENTS, max_keepalive_connections=0)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=120, limits=limits
        ) as client:
            rows = client.get("/v1/renditions", params={"limit": 500}).json()["renditions"]
            ids = [one["id"] for one in rows if not one["key"].partition(" ")[2].startswith("pre")]
            yield Service(client, port, ids, psutil.Process(process.pid))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    finally:
        process.kill()
        cluster.shutdown()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


pytestmark = pytest.mark.slow


@pytest.mark.faults
class TestOnTwoNodes:
    """One replica on each, since each node has the CPU of one."""

    def test_both_answer_with_the_same_bytes(self, service: Service) -> None:
        assert len(service.replicas()) == 2
        for id in service.ids[::3]:
            answers = [service.hr(id) for _ in range(4)]
            assert {one.status_code for one in answers} == {200}, answers[0].text
            assert len({one.content for one in answers}) == 1
        counts = service.answered()
        assert len(counts) == 2
        assert sum(counts.values()) == 4 * len(service.ids[::3])
        assert service.client.get("/readyz").json() == {"status": "ready"}

    def test_headers_without_end_are_refused_by_the_proxies(self, service: Service) -> None:
        for flood in (b"GET /healthz HTTP/1.1\r\nX: ", b"GET /healthz?"):
            answer = b""
            with create_connection(("127.0.0.1", service.port), timeout=60) as line:
                with suppress(OSError):
                    line.sendall(flood)
                    for _ in range(100):
                        line.sendall(b"a" * 60_000)
                with suppress(OSError):
                    answer = line.recv(4096)
            assert answer == b"" or answer.split()[1] == b"400"

    def test_there_is_no_page_whose_pictures_only_one_replica_would_have(
        self, service: Service
    ) -> None:
        assert service.client.get("/try").status_code == 404

    def test_a_job_is_the_same_whichever_is_asked(self, service: Service) -> None:
        asked = service.client.post(
            "/v1/restorations", json={"destination": "restored", "prefix": ""}
        )
        assert asked.status_code == 202, asked.text
        url = asked.headers["location"]
        assert {service.client.get(url).json()["id"] for _ in range(6)} == {asked.json()["id"]}
        assert service.client.delete(url).json()["state"] == "cancelled"
        assert {service.client.get(url).json()["state"] for _ in range(6)} == {"cancelled"}

    def test_a_replica_that_dies_takes_only_what_it_was_working_on(self, service: Service) -> None:
        stop = Event()

        def ask(number: int) -> list[int]:
            statuses = []
            while not stop.is_set():
                number += 1
                statuses.append(service.hr(service.ids[number % len(service.ids)]).status_code)
            return statuses

        before = service.replicas()
        with ThreadPoolExecutor(CLIENTS) as pool:
            asked = [pool.submit(ask, number) for number in range(CLIENTS)]
            stop.wait(4)
            os.kill(min(before), signal.SIGKILL)
            # Requests come on until a third one has taken its place.
            for _ in range(120):
                stop.wait(1)
                if len(service.replicas() - {min(before)}) == 2:
                    break
            stop.wait(4)
            stop.set()
            statuses = [one for each in asked for one in each.result(120)]
        lost = [one for one in statuses if one != 200]
        assert set(lost) <= {500}
        assert len(lost) <= CLIENTS  # each client had one under way at most
        assert len(statuses) > 5 * CLIENTS
        assert len(service.replicas() - before) == 1


def test_a_configuration_of_ray_serve_makes_the_same_application(
    every_rescaler: EveryRescaler, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "keys").write_text(new_key("reader")[1])
    told = Deployed.model_validate(
        {"archives": [every_rescaler.url], "keys": str(tmp_path / "keys")}
    )
    assert build(told)
    with pytest.raises(UsageError, match="nobody could read"):
        build(Deployed(archives=[every_rescaler.url]))
    monkeypatch.setenv("REFOLD_SERVE_TRY_PAGE", "1")
    with pytest.raises(UsageError, match="REFOLD_SERVE_TRY_PAGE"):
        build(told)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "0"], "--port 0"),
        (["--host", "203.0.113.7", "--anonymous"], "--host 203.0.113.7"),
    ],
)
def test_what_replicas_cannot_do_is_told_before_ray_is_started(
    every_rescaler: EveryRescaler, arguments: list[str], reason: str, capsys: pytest.CaptureFixture
) -> None:
    from flows.cli.app import run

    assert run(["serve", every_rescaler.url, "--replicas", "2", *arguments]) == 2
    assert reason in capsys.readouterr().err.replace("\n", " ")
