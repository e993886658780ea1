"""What a worker counts while it converts, as Ray metrics.

Every Ray node serves them in the format of Prometheus, together with Ray's own; outside a Ray
worker they go nowhere. `docs/performance.md` says how to read them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ray.util.metrics import Counter, Gauge

from tasks.catalog import Archived, CatalogRow


class WorkerMetrics:
    """The counters of one worker process; they only grow, and Prometheus makes rates of them."""

    def __init__(self) -> None:
        self._sources = Counter("refold_sources", "Sources finished.", ("state",))
        self._megapixels = Counter("refold_megapixels", "Megapixels of archived sources.")
        self._read = Counter("refold_bytes_read", "Bytes of sources read.")
        self._written = Counter("refold_bytes_written", "Bytes of LR objects written.")
        self._tried = Counter("refold_candidates_tried", "Candidates made and measured.")
        self._chosen = Counter(
            "refold_candidates_chosen", "Renditions by how they were made.", ("rescaler", "codec")
        )
        self._saved = Counter("refold_bytes_saved", "Bytes of sources beyond their renditions.")
        self._busy = Counter("refold_busy_seconds", "Seconds that sources took, each on its own.")
        self._network = Counter("refold_network_seconds", "Seconds that the network was in use.")
        self._lane = Gauge("refold_network_waiting", "Photos that wait for the network or use it.")
        self._waiting = Gauge("refold_reads_waiting", "Sources fetched ahead, waiting for work.")

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


def _grow(counter: Counter, amount: float) -> None:
    """Ray refuses to grow a counter by nothing."""
    if amount > 0:
        counter.inc(amount)
