"""Every metric that the program has, as Prometheus would read it from the program."""

from __future__ import annotations

import re
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from ray.util.metrics import Metric

from flows.service.metrics import Metrics
from tasks.control.metrics import RunMetrics
from tasks.jobs.archive.telemetry import WorkerMetrics
from tasks.renditions.cache import ByteCache

NAME: Final = re.compile(r"\b(?:ray_)?refold[_:][a-z0-9_:]+")
"""How metrics of ours are called in queries, recorded ones too."""


def of_the_driver() -> set[str]:
    """Samples of a run's metrics, once each has been given every label it has."""
    metrics = RunMetrics()
    return _samples(metrics, metrics.registry)


def _samples(metrics: object, registry: CollectorRegistry) -> set[str]:
    """What is served, once each metric has been given every label it has."""
    for one in vars(metrics).values():
        if labels := getattr(one, "_labelnames", ()):
            one.labels(*labels)
    told = generate_latest(registry).decode()
    samples = re.findall(r"^(refold\w+)", told, re.MULTILINE)
    return {name for name in samples if not name.endswith("_created")}


def of_the_service() -> set[str]:
    """What `refold serve` serves."""
    metrics = Metrics(ByteCache(1))
    return _samples(metrics, metrics.registry)


def of_the_workers() -> set[str]:
    """As a Ray node serves them: counters end in `_total`."""
    found = set()
    for one in vars(WorkerMetrics()).values():
        assert isinstance(one, Metric)
        total = "_total" if type(one).__name__ == "Counter" else ""
        found.add(f"ray_{one.info['name']}{total}")
    return found


def of_the_program() -> set[str]:
    """All of them."""
    return of_the_driver() | of_the_workers() | of_the_service()


def named_in(query: str) -> set[str]:
    """The metrics of ours that a query names."""
    return set(NAME.findall(query))
