"""A run tells Prometheus what it counts, where it is asked to, and nobody else."""

from __future__ import annotations

import socket
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tasks.control import metrics
from tasks.control.record import Counts
from tasks.control.run import Run
from tasks.control.tally import Tally
from tasks.settings import Settings, using


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Tally):
    seen: int = 0
    failed: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        return self.seen

    @property
    def counts(self) -> Counts:
        return Counts(listed=self.seen)


@pytest.fixture(autouse=True)
def from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_exposed", metrics._Exposed())


def _go() -> None:
    run = Run("look", Seen(), {})
    for wave in run.waves(range(5), cut=5, at_least=2, total=5):
        run.add(Seen(seen=len(wave.items), failed=("a.png",)))


def _samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("count", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("flow") == "look"
    }


def _check(text: str) -> None:
    told = _samples(text)
    assert told["refold_run_counts_total", "seen"] == 5
    assert told["refold_run_counts_total", "failed"] == told["refold_run_wave_seconds_count", ""]
    assert told["refold_run_done", ""] == told["refold_run_expected", ""] == 5
    assert told["refold_run_under_way", ""] == 1
    assert told["refold_run_advanced_timestamp_seconds", ""] > 1.7e9


def test_a_run_leaves_its_counts_in_the_folder_that_is_named(tmp_path: Path) -> None:
    with using(Settings(metrics_folder=tmp_path / "metrics")):
        _go()
    (left,) = (tmp_path / "metrics").iterdir()
    assert left.name == "refold-look.prom"
    _check(left.read_text())


def test_a_run_serves_its_counts_where_it_is_told_to_listen() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = "{}:{}".format(*free.getsockname())
    with using(Settings(metrics_listen=where)):
        _go()
        with urllib.request.urlopen(f"http://{where}/metrics", timeout=30) as answer:
            _check(answer.read().decode())


def test_a_run_goes_on_where_metrics_cannot_be_served_or_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = "{}:{}".format(*taken.getsockname())
        with using(Settings(metrics_listen=where, metrics_folder=tmp_path / "file")):
            _go()
    assert f"REFOLD_METRICS_LISTEN={where}: no metrics are served" in caplog.text
    assert "no metrics were written" in caplog.text


def test_by_default_a_run_listens_nowhere_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _go()
    assert list(tmp_path.iterdir()) == []
    assert metrics._exposed._listening is False


@pytest.mark.parametrize("wrong", ["9464", "localhost", "a b:1", "x:123456"])
def test_an_address_that_cannot_be_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="metrics_listen"):
        Settings(metrics_listen=wrong)
