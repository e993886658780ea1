"""The spans of a run reach a collector as one tree, and none is sent unless that is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tasks.control import tracing
from tasks.jobs.archive.steps import find_pending, shards_of
from tasks.jobs.archive.worker import ConversionJob, ShardConverter
from tasks.plans.options import PlanOptions, build_plan
from tasks.storage import open_store
from tests.command import photograph


class Collector:
    """Takes traces as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                asked = ExportTraceServiceRequest.FromString(body)
                for resource in asked.resource_spans:
                    for scope in resource.scope_spans:
                        spans.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def children(self, parent: bytes) -> list[str]:
        return sorted(span.name for span in self.spans if span.parent_span_id == parent)

    def one(self, name: str) -> Any:
        (found,) = (span for span in self.spans if span.name == name)
        return found


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    found = Collector()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
    tracing._provider.cache_clear()
    yield found
    tracing._provider.cache_clear()
    found.server.shutdown()
    found.server.server_close()
    thread.join()


def _convert(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    photograph("chelsea", 40, 48).save(tmp_path / "photos" / "cat.png")
    source, archive = f"{tmp_path}/photos", f"{tmp_path}/archive"
    plan = build_plan(PlanOptions(rescalers=("bicubic",)))
    run = tracing.RunTrace("archive", "01RUN")
    job = ConversionJob(
        source_url=source, archive_url=archive, plan=plan, run_id="01RUN", trace=run.carrier
    )
    from tasks.catalog import open_catalog

    pending = find_pending.fn(open_store(source), open_catalog(open_store(archive)), plan)
    (shard,) = shards_of(pending, plan, 1)
    (row,) = ShardConverter(job).convert(shard).rows
    assert row.state == "archived", row.reason
    run.step("wave 1", 1.5, {"archived": 1})
    run.end()


def test_run_wave_shard_photo_and_its_steps_are_one_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    monkeypatch.setenv("REFOLD_TRACES", "true")
    _convert(tmp_path)
    run = collector.one("archive")
    assert run.parent_span_id == b""
    assert len({span.trace_id for span in collector.spans}) == 1
    assert collector.children(run.span_id) == ["shard", "wave 1"]
    shard = collector.one("shard")
    assert collector.children(shard.span_id) == ["photo", "read"]
    photo = collector.one("photo")
    assert collector.children(photo.span_id) == ["convert", "decode", "write"]
    told = {one.key: one.value.string_value for one in photo.attributes}
    assert told["refold.source"] == "cat.png"
    wave = collector.one("wave 1")
    assert wave.end_time_unix_nano - wave.start_time_unix_nano == 1_500_000_000


def test_nothing_is_sent_unless_traces_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    monkeypatch.delenv("REFOLD_TRACES", raising=False)
    _convert(tmp_path)
    assert collector.spans == []
