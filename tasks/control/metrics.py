"""What a driver counts, for Prometheus: served on a port, or left in a file, or neither.

`REFOLD_METRICS_LISTEN` serves the numbers while the process lives. `REFOLD_METRICS_FOLDER` leaves a
file for each job, which the node exporter's textfile collector reads and which is still there when
the job is over. Workers count what they do for themselves: `tasks/jobs/archive/telemetry.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import start_http_server, write_to_textfile

from tasks.settings import current

_LOG: Final = logging.getLogger(__name__)
_WAVE_SECONDS: Final = (1, 5, 15, 60, 300, 900, 3600)


class RunMetrics:
    """The numbers of all runs of this process, by flow.

    The label cannot be called `job`: Prometheus puts the name of its own scrape job there.
    """

    def __init__(self) -> None:
        """Count from zero."""
        self.registry = registry = CollectorRegistry()

        def gauge(name: str, about: str) -> Gauge:
            return Gauge(f"refold_run_{name}", about, ["flow"], registry=registry)

        self.counts = Counter(
            "refold_run_counts",
            "What runs counted, by its name in their summary.",
            ["flow", "count"],
            registry=registry,
        )
        self.troubles = Counter(
            "refold_run_troubles", "What somebody has to look at.", ["flow"], registry=registry
        )
        self.wave_seconds = Histogram(
            "refold_run_wave_seconds",
            "Seconds of a wave.",
            ["flow"],
            buckets=_WAVE_SECONDS,
            registry=registry,
        )
        self.done = gauge("done", "Sources that the run has accounted for.")
        self.expected = gauge("expected", "Sources that the run has to account for.")
        self.under_way = gauge("under_way", "1 from the start of a run to its end.")
        self.started = gauge("started_timestamp_seconds", "When a run last started.")
        self.advanced = gauge("advanced_timestamp_seconds", "When a run last counted anything.")
        self.finished = gauge("finished_timestamp_seconds", "When a run last came to its end.")


class Watched:
    """One run, as its metrics see it."""

    def __init__(self, job: str) -> None:
        """A run of a job begins."""
        self._job = job
        self._metrics = _exposed.metrics()
        self._metrics.under_way.labels(job).set(1)
        self._metrics.done.labels(job).set(0)
        self._metrics.started.labels(job).set_to_current_time()
        self._advanced()

    def expected(self, total: int | None) -> None:
        """Say how many sources the run has, if that is known."""
        if total is not None:
            self._metrics.expected.labels(self._job).set(total)

    def counted(
        self, words: Mapping[str, int], troubles: int, done: int, wave_seconds: float | None
    ) -> None:
        """Count what a step returned.

        Args:
            words: Each count of the step by its name.
            troubles: How many things have to be looked at.
            done: Sources that the whole run has accounted for.
            wave_seconds: None if the step was no wave.
        """
        for name, number in words.items():
            label = name.replace(" ", "_").replace(":", "")
            self._metrics.counts.labels(self._job, label).inc(max(number, 0))
        self._metrics.troubles.labels(self._job).inc(troubles)
        self._metrics.done.labels(self._job).set(done)
        if wave_seconds is not None:
            self._metrics.wave_seconds.labels(self._job).observe(wave_seconds)
        self._advanced()

    def finished(self) -> None:
        """The run came to its end."""
        self._metrics.under_way.labels(self._job).set(0)
        self._metrics.finished.labels(self._job).set_to_current_time()
        self._advanced()

    def _advanced(self) -> None:
        self._metrics.advanced.labels(self._job).set_to_current_time()
        _exposed.leave(self._job)


class _Exposed:
    """The metrics of this process, and where they are to be read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._metrics = RunMetrics()
        self._listening = False

    def metrics(self) -> RunMetrics:
        """The metrics, served from now on if the settings say so."""
        where = current().metrics_listen
        with self._lock:
            if where and not self._listening:
                self._listening = True
                self._listen(where)
        return self._metrics

    def _listen(self, where: str) -> None:
        host, _, port = where.rpartition(":")
        try:
            start_http_server(int(port), host.strip("[]"), self._metrics.registry)
        except OSError as error:
            # Two runs on one machine: the second is not a worse run for it.
            _LOG.warning("REFOLD_METRICS_LISTEN=%s: no metrics are served: %s", where, error)

    def leave(self, job: str) -> None:
        """Write the file of a job, if the settings name a folder."""
        folder = current().metrics_folder
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_to_textfile(str(folder / f"refold-{job}.prom"), self._metrics.registry)
        except OSError as error:
            _LOG.warning("REFOLD_METRICS_FOLDER=%s: no metrics were written: %s", folder, error)


_exposed: Final = _Exposed()
