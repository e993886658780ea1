"""What is counted, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tasks.renditions.cache import ByteCache


class Metrics:
    """The counts of one application, so that several in one process do not share them."""

    def __init__(self, cache: ByteCache) -> None:
        """Count from zero.

        Args:
            cache: Whose size and hits are told too.
        """
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "refold_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "refold_request_seconds", "Seconds until the answer.", ["route"], registry=registry,
            buckets=(0.005, 0.02, 0.1, 0.3, 1, 3, 10, 30, 100),
        )  # fmt: skip
        self.damaged = Counter(
            "refold_damaged_renditions",
            "Times that a rendition could not be restored.",
            ["reason"],
            registry=registry,
        )
        self.refused = Counter(
            "refold_refused", "Requests refused for want of room.", registry=registry
        )
        self.pixels = Counter("refold_pixels", "Pixels of pictures sent.", registry=registry)
        for name, about, value in (
            ("refold_cache_bytes", "Bytes kept.", lambda: cache.nbytes),
            ("refold_cache_hits", "Times that something was kept.", lambda: cache.hits),
            ("refold_cache_misses", "Times that something was made.", lambda: cache.misses),
        ):
            Gauge(name, about, registry=registry).set_function(value)

    def text(self) -> bytes:
        """In Prometheus' own format."""
        return bytes(generate_latest(self.registry))


def joined(counted: Iterable[tuple[str, bytes]]) -> bytes:
    """What several replicas counted, each sample labelled with the name of its replica.

    Args:
        counted: Name of a replica, and its metrics in Prometheus' format.
    """
    families: dict[str, Metric] = {}
    for name, text in counted:
        for found in text_string_to_metric_families(text.decode()):
            family = families.setdefault(
                found.name, Metric(found.name, found.documentation, found.type)
            )
            for sample in found.samples:
                labels = {**sample.labels, "replica": name}
                family.add_sample(sample.name, labels, sample.value)
    return bytes(generate_latest(_Families(families.values())))


class _Families(CollectorRegistry):
    """Metrics that were counted elsewhere."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families
