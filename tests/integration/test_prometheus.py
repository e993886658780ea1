"""Prometheus itself, from Debian, reads what a run serves and applies the rules to it."""

from __future__ import annotations

import json
import os
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.dashboard import draw, read
from tasks.control import metrics
from tasks.control.record import Counts
from tasks.control.run import Run
from tasks.control.tally import Tally
from tasks.settings import Settings, using
from tests.command import REPOSITORY
from tests.servers.processes import tail
from tests.servers.prometheus import HOW_TO, prometheus_server

pytestmark = pytest.mark.slow

PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Tally):
    findings: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        return len(self.findings)

    @property
    def counts(self) -> Counts:
        return Counts(quarantined=len(self.findings))


@dataclass(frozen=True)
class Prometheus:
    url: str
    log: Path

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Wait until a query has a result, and return it."""
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        deadline = time.monotonic() + PATIENCE
        while True:
            with urllib.request.urlopen(url, timeout=10) as answer:
                if found := json.load(answer)["data"]["result"]:
                    return list(found)
            assert time.monotonic() < deadline, tail(self.log)
            time.sleep(0.3)


@pytest.fixture
def listening() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "{}:{}".format(*free.getsockname())


@pytest.fixture
def prometheus(listening: str, tmp_path: Path) -> Iterator[Prometheus]:
    """One with the configuration of infra, that asks this process in place of the worker."""
    if os.environ.get("REFOLD_NO_PROMETHEUS") == "1":
        pytest.skip(f"REFOLD_NO_PROMETHEUS=1 is set. {HOW_TO}")
    folder = REPOSITORY / "infra" / "prometheus"
    told = yaml.safe_load((folder / "prometheus.yml").read_text())
    told["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    told["rule_files"] = [str(folder / name) for name in told["rule_files"]]
    (driver,) = (one for one in told["scrape_configs"] if one["job_name"] == "driver")
    driver["static_configs"] = [{"targets": [listening]}]
    told["scrape_configs"] = [driver]
    with prometheus_server(tmp_path, told) as (url, log):
        yield Prometheus(url, log)


def test_it_reads_a_run_and_raises_the_alarm_at_a_finding(
    prometheus: Prometheus, listening: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_exposed", metrics._Exposed())
    with using(Settings(metrics_listen=listening)):
        run = Run("scrub", Found(), {})
        run.add(Found(), "before")
        (sample,) = prometheus.ask('refold_run_counts_total{count="findings"}')
        assert sample["metric"]["flow"] == "scrub"
        assert sample["value"][1] == "0"
        run.add(Found(findings=("a.png", "b.png")), "found")
    (alert,) = prometheus.ask('ALERTS{alertname="RefoldDamageFound"}')
    assert alert["metric"]["alertstate"] == "firing"
    assert alert["metric"]["severity"] == "page"
    panels = read(prometheus.url, time.time() - 300, time.time())  # it refuses none of the queries
    (shown,) = (one for one in panels if one.title == "Runs under way")
    assert [line.name for line in shown.lines] == ["scrub"]
    draw(panels, tmp_path / "dashboard.svg")
    drawn = (tmp_path / "dashboard.svg").read_text()
    assert all(f"<!-- {panel.title} -->" in drawn for panel in panels)
    assert drawn.count("<!-- nothing counted -->") == sum(not panel.lines for panel in panels)
