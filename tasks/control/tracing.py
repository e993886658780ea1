"""Traces of a run, through OpenTelemetry's own SDK: run, waves, shards, photos, and their steps.

Off unless `REFOLD_TRACES` is true: then spans go to where the standard variables say
(`OTEL_EXPORTER_OTLP_ENDPOINT` and others). Workers get the context of the run with their job, so
that what they do is part of its trace.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from rescaling_core import __version__
from rescaling_core.errors import UsageError
from tasks.settings import current

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

Carrier = Mapping[str, str]
"""The context of a span, to be handed to another process."""

NOWHERE: Final[Carrier] = {}


@cache
def _provider() -> TracerProvider:
    """What sends spans, of this process.

    Raises:
        UsageError: The exporter is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise UsageError(
            f"REFOLD_TRACES is set, but {error.name} is not installed: pip install 'refold[otel]'"
        ) from error
    resource = Resource.create({"service.name": "refold", "service.version": __version__})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _tracer() -> Tracer:
    return _provider().get_tracer("refold", __version__)


class RunTrace:
    """The span of a run, open from its start to its end."""

    def __init__(self, job: str, run_id: str) -> None:
        """Begin it, if traces are asked for.

        Raises:
            UsageError: They are, and the exporter is not installed.
        """
        self._span: Span | None = None
        self.carrier: Carrier = NOWHERE
        if current().traces:
            attributes = {"refold.job": job, "refold.run_id": run_id}
            self._span = _tracer().start_span(job, attributes=attributes)
            self.carrier = _carrier_of(self._span)

    def step(self, name: str, seconds: float, counts: Mapping[str, int]) -> None:
        """Add a span of what has just ended.

        Args:
            name: Such as `wave 3`.
            seconds: How long it took.
            counts: What it counted.
        """
        if self._span is None:
            return
        end = time.time_ns()
        begin = end - int(seconds * 1e9)
        attributes = {f"refold.{key}": number for key, number in counts.items()}
        from opentelemetry import trace

        inside = trace.set_span_in_context(self._span)
        span = _tracer().start_span(name, inside, attributes=attributes, start_time=begin)
        span.end(end)

    def end(self) -> None:
        """End the span, and see that it is sent."""
        if self._span is not None:
            self._span.end()
            flush()


def flush() -> None:
    """Send what has been collected; a process may be ended before that happens by itself."""
    _provider().force_flush(5_000)


def _carrier_of(span: Span) -> Carrier:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, trace.set_span_in_context(span))
    return carrier


@contextmanager
def part_of(carrier: Carrier, name: str, **attributes: str | int) -> Iterator[Carrier]:
    """Trace what happens inside, as a part of the span that the carrier tells of.

    Contexts are handed on by hand: photos of a worker are under way in several threads.

    Args:
        carrier: Of the span around it; nothing is traced where it is empty.
        name: Of the span.
        attributes: Of the span, after `refold.`.

    Yields:
        The carrier of this span, for the parts of it.
    """
    if not carrier:
        yield NOWHERE
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    around = TraceContextTextMapPropagator().extract(carrier)
    told = {f"refold.{key}": value for key, value in attributes.items()}
    with _tracer().start_as_current_span(name, around, attributes=told) as span:
        yield _carrier_of(span)
