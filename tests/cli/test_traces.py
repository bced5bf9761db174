"""Spans of `fanout serve` for OpenTelemetry: their names, parents and attributes."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from fanout.providers import registry
from fanout.telemetry.traces import ExportLog, TraceObserver
from tests.cli.commands import spawned, write_config
from tests.cli.test_serve import ask, port_of
from tests.support.gateway_server import entry
from tests.support.patience import PATIENCE
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream
from tests.unit.telemetry.test_observers import ATTEMPT, REQUEST

NOW = 1_764_459_000.0


def spans(*records: Any) -> Sequence[ReadableSpan]:
    """The spans of records, in the order of their ends."""
    exporter = InMemorySpanExporter()
    observer = TraceObserver(SimpleSpanProcessor(exporter), lambda: NOW)
    for record in records:
        (observer.request if type(record) is type(REQUEST) else observer.attempt)(record)
    return exporter.get_finished_spans()


def test_a_call_has_the_names_of_the_conventions_and_is_below_its_request() -> None:
    call, request = spans(ATTEMPT, REQUEST)
    assert (call.name, request.name) == ("chat a", "request race")
    assert call.context is not None
    assert request.context is not None
    assert call.parent is not None
    assert call.parent.span_id == request.context.span_id
    assert call.context.trace_id == request.context.trace_id
    assert request.parent is None
    assert dict(call.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "a",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 2,
        "error.type": "RateLimited",
        "http.response.status_code": 429,
        "fanout.mode": "race",
        "fanout.deployment": "a#0",
        "fanout.outcome": "failed",
        "fanout.cost_usd": 0.25,
    }
    assert dict(request.attributes or {}) == {
        "http.response.status_code": 200,
        "fanout.request_id": "req_1",
        "fanout.client": "team",
        "fanout.mode": "race",
        "fanout.models": ("a", "b"),
        "fanout.winner": "b",
        "fanout.stream": True,
    }


def test_a_span_has_the_times_of_its_record_and_the_status_of_a_failure() -> None:
    fields = {name: getattr(REQUEST, name) for name in REQUEST.__struct_fields__}
    lost = type(REQUEST)(**{**fields, "status": 502, "error": "AllFailed"})
    call, request = spans(ATTEMPT, lost)
    assert call.end_time == request.end_time == NOW * 1e9
    assert (call.end_time or 0) - (call.start_time or 0) == pytest.approx(12.5e6, abs=1e3)
    assert call.status.status_code == request.status.status_code == StatusCode.ERROR


def test_a_stream_has_the_time_to_its_first_chunk_and_cached_tokens() -> None:
    usage: Any = {**(ATTEMPT.usage or {}), "prompt_tokens_details": {"cached_tokens": 1}}
    record = msgspec.structs.replace(
        ATTEMPT, outcome="ok", error=None, first_token_ms=250.0, usage=usage
    )
    (call,) = spans(record)
    attributes = call.attributes or {}
    assert attributes["gen_ai.response.time_to_first_chunk"] == 0.25
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 1
    assert call.status.status_code == StatusCode.UNSET


def test_other_requests_have_other_traces() -> None:
    other = msgspec.structs.replace(ATTEMPT, request_id="req_2")
    traces = {span.context.trace_id for span in spans(ATTEMPT, other, ATTEMPT) if span.context}
    assert len(traces) == 2


def test_all_spans_of_a_request_are_sampled_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    fields = {name: getattr(REQUEST, name) for name in REQUEST.__struct_fields__}
    records: list[Any] = []
    for number in range(40):
        request_id = f"req_{number}"
        records.append(msgspec.structs.replace(ATTEMPT, request_id=request_id))
        records.append(type(REQUEST)(**{**fields, "request_id": request_id}))
    found = spans(*records)
    by_trace: dict[int, int] = {}
    for span in found:
        assert span.context is not None
        by_trace[span.context.trace_id] = by_trace.get(span.context.trace_id, 0) + 1
    assert set(by_trace.values()) == {2}
    assert 5 < len(by_trace) < 35


def test_every_name_of_a_provider_is_one_of_the_conventions_or_its_own() -> None:
    names = {name: registry.find(name).trace_name for name in registry.names()}
    assert {name: given for name, given in names.items() if given} == {
        "azure": "azure.ai.openai",
        "bedrock": "aws.bedrock",
        "gemini": "gcp.gemini",
        "mistral": "mistral_ai",
        "vertex_ai": "gcp.vertex_ai",
        "xai": "x_ai",
    }


# ---- what OpenTelemetry logs ----


def test_what_opentelemetry_logs_is_a_line_of_ours_and_of_each_kind_one_a_minute() -> None:
    written: list[tuple[str, dict[str, object]]] = []
    clock = iter([0.0, 1.0, 2.0, 3.0, 59.9, 60.0, 61.0])
    handler = ExportLog(lambda level, fields: written.append((level, {**fields})), clock.__next__)
    logger = logging.getLogger("tests.cli.test_traces")
    logger.addHandler(handler)
    retry = "Transient error %s"
    logger.warning(retry, "a")
    logger.warning(retry, "b")
    logger.error("Failed to export", exc_info=OSError("sk-secret"))
    logger.info("not of interest")
    for text in "cde":
        logger.warning(retry, text)
    logger.warning("another one")
    assert written == [
        ("warning", {"message": "Transient error a"}),
        ("error", {"message": "Failed to export", "error": "OSError"}),
        ("warning", {"message": "Transient error e", "repeated": 3}),
        ("warning", {"message": "another one"}),
    ]


def test_a_collector_that_is_down_is_in_the_log(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script("a", answers("Hello"))
    listed = [entry(upstream, "a")]
    config = write_config(tmp_path, {"model_list": listed, "general_settings": {"traces": True}})
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")  # discard
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with spawned("serve", "--config", config, "--port", 0) as process:
        connection = ask(port_of(process))
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    logged = [msgspec.json.decode(line) for line in err.splitlines()]
    exports = [line for line in logged if line["event"] == "export"]
    assert exports
    for line in exports:
        assert line["level"] in {"warning", "error"}
        assert line["time"].endswith("Z")
        assert line["message"]


# ---- the exporter ----


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """The address of a collector, and what it has received."""
    received: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            import gzip

            body = self.rfile.read(int(self.headers["content-length"]))
            packed = self.headers.get("content-encoding") == "gzip"
            received.append(
                ExportTraceServiceRequest.FromString(gzip.decompress(body) if packed else body)
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def test_the_spans_of_a_server_reach_the_collector_before_it_exits(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.script("a", answers("Hello"))
    general = {"traces": True}
    config = write_config(
        tmp_path, {"model_list": [entry(upstream, "a")], "general_settings": general}
    )
    with collector() as (url, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        with spawned("serve", "--config", config, "--port", 0, "--quiet") as process:
            connection = ask(port_of(process))
            assert connection.getresponse().status == 200
            connection.close()
            process.send_signal(signal.SIGTERM)
            assert process.communicate(timeout=PATIENCE) == ("", "")
    resources = [one for request in received for one in request.resource_spans]
    services = {
        pair.value.string_value
        for one in resources
        for pair in one.resource.attributes
        if pair.key == "service.name"
    }
    assert services == {"fanout"}
    names = [s.name for one in resources for scope in one.scope_spans for s in scope.spans]
    assert sorted(names) == ["chat a", "request one"]
    assert "sk-provider" not in str(received)
