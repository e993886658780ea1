"""What a worker counts while it converts, as Ray metrics.

Every Ray node serves them in the format of Prometheus, together with Ray's own; workers of runs
that do without Ray count for nobody. `docs/performance.md` says how to read them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.catalog import Archived, CatalogRow


class WorkerMetrics:
    """The counters of one worker process; they only grow, and Prometheus makes rates of them."""

    def __init__(self) -> None:
        counter, gauge = _kinds_of_metrics()
        self._sources = counter("refold_sources", "Sources finished.", ("state",))
        self._megapixels = counter("refold_megapixels", "Megapixels of archived sources.")
        self._read = counter("refold_bytes_read", "Bytes of sources read.")
        self._written = counter("refold_bytes_written", "Bytes of LR objects written.")
        self._tried = counter("refold_candidates_tried", "Candidates made and measured.")
        self._chosen = counter(
            "refold_candidates_chosen", "Renditions by how they were made.", ("rescaler", "codec")
        )
        self._saved = counter("refold_bytes_saved", "Bytes of sources beyond their renditions.")
        self._busy = counter("refold_busy_seconds", "Seconds that sources took, each on its own.")
        self._network = counter("refold_network_seconds", "Seconds that the network was in use.")
        self._lane = gauge("refold_network_waiting", "Photos that wait for the network or use it.")
        self._waiting = gauge("refold_reads_waiting", "Sources fetched ahead, waiting for work.")

    def finished(self, data: bytes | None, rows: Sequence[CatalogRow]) -> None:
        """Count one source: its bytes, None if it could not be read, and its rows."""
        states = {row.state for row in rows}
        for state in ("quarantined", "archived", "kept"):  # as a run counts them
            if state in states:
                self._sources.inc(1, {"state": state})
                break
        _grow(self._read, len(data or b""))
        archived = [row for row in rows if isinstance(row, Archived)]
        for row in archived:
            self._chosen.inc(1, {"rescaler": row.rescaler, "codec": row.codec})
            _grow(self._written, row.lr_bytes)
            if row.metadata_json:
                _grow(self._tried, row.recorded.tried or 0)
        if any(row.psnr_y is not None for row in archived):  # not by previews alone
            stored = sum(row.lr_bytes for row in archived)
            _grow(self._saved, archived[0].source_size - stored)
        if archived:
            _grow(self._megapixels, archived[0].pixels / 1e6)
        _grow(self._busy, sum(row.seconds or 0 for row in rows))

    def network_waiting(self, count: int) -> None:
        """Say how many photos wait for the network, or are on it."""
        self._lane.set(count)

    def network_busy(self, seconds: float) -> None:
        """Say how long one of them used it. Its rate is the share of time that it is busy."""
        _grow(self._network, seconds)

    def waiting(self, count: int) -> None:
        """Say how many sources lie fetched and wait for the network."""
        self._waiting.set(count)


class _Unheard:
    """A metric where nobody asks for it."""

    def __init__(self, name: str, description: str, labels: tuple[str, ...] = ()) -> None:
        """Like Ray's."""

    def inc(self, amount: float, labels: Mapping[str, str] | None = None) -> None:
        """Count nothing."""

    def set(self, value: float, labels: Mapping[str, str] | None = None) -> None:
        """Keep nothing."""


def _kinds_of_metrics() -> tuple[Any, Any]:
    """What makes counters and gauges: Ray's classes in its own workers, where it is imported."""
    if "ray" not in sys.modules:
        return _Unheard, _Unheard
    from ray.util.metrics import Counter, Gauge

    return Counter, Gauge


def _grow(counter: Any, amount: float) -> None:
    """Ray refuses to grow a counter by nothing."""
    if amount > 0:
        counter.inc(amount)
