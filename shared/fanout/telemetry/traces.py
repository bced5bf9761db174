"""
Traces for OpenTelemetry: a span for each request, and below it one for each call to a model.

The only importer of opentelemetry. The names are those of the conventions for generative AI, which
are still in development: github.com/open-telemetry/semantic-conventions-genai (2026-11). No span
has a prompt, a response or a key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from ..providers import registry
from .observers import SERVER_ERROR, AttemptRecord, DecisionRecord, Level, RequestRecord

SERVICE = "fanout"
NANOSECONDS = 1_000_000_000

LOGGER = "opentelemetry"
"""The logger of everything that OpenTelemetry logs."""

LOG_INTERVAL = 60.0
"""Seconds between two lines of one kind in the log: while a collector is down, there are many."""
Attributes: TypeAlias = Mapping[str, str | bool | int | float | tuple[str, ...] | None]


class RequestIds(RandomIdGenerator):
    """Gives the span that is made next the ids of a request; any other span has random ones."""

    def __init__(self) -> None:
        self.next: SpanContext | None = None

    def generate_trace_id(self) -> int:
        """The id of the next trace."""
        return super().generate_trace_id() if self.next is None else self.next.trace_id

    def generate_span_id(self) -> int:
        """The id of the next span."""
        return super().generate_span_id() if self.next is None else self.next.span_id


class TraceObserver:
    """
    Makes a span of each record and passes it to `processor`. `now` is in seconds since 1970.

    Calls end before their request, and only the end of each is known. So the ids of a request's
    span are made of its `x-request-id`, and its calls can name their parent before it exists. A
    line of a job is a trace without a span for its request.
    """

    def __init__(
        self, processor: SpanProcessor, now: Callable[[], float], resource: Resource | None = None
    ) -> None:
        self._ids = RequestIds()
        self._provider = TracerProvider(id_generator=self._ids, resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(SERVICE)
        self._now = now

    def attempt(self, record: AttemptRecord) -> None:
        """Make the span of a call to a model, below that of its request."""
        usage, first = record.usage, record.first_token_ms
        details = usage.get("prompt_tokens_details") if usage else None
        provider = registry.find(record.provider)
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider.trace_name or provider.name,
            "gen_ai.request.model": record.model,
            "gen_ai.usage.input_tokens": usage["prompt_tokens"] if usage else None,
            "gen_ai.usage.output_tokens": usage["completion_tokens"] if usage else None,
            "gen_ai.usage.cache_read.input_tokens": (details or {}).get("cached_tokens"),
            "gen_ai.response.time_to_first_chunk": None if first is None else first / 1_000,
            "error.type": record.error,
            "http.response.status_code": record.status,
            "fanout.mode": record.mode,
            "fanout.deployment": record.deployment,
            "fanout.outcome": record.outcome,
            "fanout.cost_usd": record.cost_usd,
        }
        parent = set_span_in_context(NonRecordingSpan(self._context_of(record.request_id)))
        has_failed = record.outcome == "failed"
        name = f"chat {record.model}"
        self._span(name, SpanKind.CLIENT, parent, attributes, record.duration_ms, has_failed)

    def request(self, record: RequestRecord) -> None:
        """Make the span of a request."""
        attributes: Attributes = {
            "http.response.status_code": record.status,
            "error.type": record.error,
            "fanout.request_id": record.request_id,
            "fanout.client": record.caller,
            "fanout.mode": record.mode,
            "fanout.models": record.models,
            "fanout.winner": record.winner,
            "fanout.stream": record.stream,
        }
        self._ids.next = self._context_of(record.request_id)
        try:
            has_failed = record.status >= SERVER_ERROR
            name = f"request {record.mode}"
            self._span(name, SpanKind.SERVER, Context(), attributes, record.duration_ms, has_failed)
        finally:
            self._ids.next = None

    def decision(self, record: DecisionRecord) -> None:
        """Make nothing: the spans of the calls have their outcomes."""

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        """Make nothing: the log has it, and the request's span has its status."""

    def _span(
        self,
        name: str,
        kind: SpanKind,
        context: Context,
        attributes: Attributes,
        duration_ms: float,
        has_failed: bool,  # noqa: FBT001
    ) -> None:
        """Make a span that ends now."""
        end = self._now()
        span = self._tracer.start_span(
            name,
            context,
            kind,
            {key: value for key, value in attributes.items() if value is not None},
            start_time=int((end - duration_ms / 1_000) * NANOSECONDS),
        )
        if has_failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(int(end * NANOSECONDS))

    def _context_of(self, request_id: str) -> SpanContext:
        """The ids of a request's span, and whether it is sampled."""
        digest = sha256(request_id.encode()).digest()
        trace_id = int.from_bytes(digest[:16], "big") or 1
        decision = self._provider.sampler.should_sample(None, trace_id, "").decision
        is_sampled = decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
        span_id = int.from_bytes(digest[16:24], "big") or 1
        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags)


class ExportLog(logging.Handler):
    """
    Passes OpenTelemetry's warnings and errors to `write`, with their level and fields.

    Of each kind of message, one is passed at most every `LOG_INTERVAL` seconds; `repeated` is the
    number of those since the one before.
    """

    def __init__(
        self, write: Callable[[Level, Mapping[str, object]], object], now: Callable[[], float]
    ) -> None:
        super().__init__(logging.WARNING)
        self._write = write
        self._now = now
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on the message, without its traceback."""
        kind, now = f"{record.name} {record.msg}", self._now()
        if now - self._last.get(kind, -LOG_INTERVAL) < LOG_INTERVAL:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._last[kind] = now
        fields: dict[str, object] = {"message": record.getMessage()}
        if record.exc_info and record.exc_info[0]:
            fields["error"] = record.exc_info[0].__name__
        if count := self._left_out.pop(kind, 0):
            fields["repeated"] = count
        self._write("error" if record.levelno >= logging.ERROR else "warning", fields)


def otlp_observer(
    now: Callable[[], float],
    env: Mapping[str, str],
    write: Callable[[Level, Mapping[str, object]], object],
) -> TraceObserver:
    """
    An observer that exports over OTLP and HTTP, to `OTEL_EXPORTER_OTLP_ENDPOINT`.

    OpenTelemetry's own variables set the address, headers, sampling and batches. When the process
    exits, what is left is exported. `write` gets what OpenTelemetry logs; see `ExportLog`.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    logger = logging.getLogger(LOGGER)
    logger.addHandler(ExportLog(write, now))
    logger.propagate = False  # Python's own last resort is a plain line on stderr
    named = "OTEL_SERVICE_NAME" in env
    resource = Resource.create() if named else Resource.create({"service.name": SERVICE})
    return TraceObserver(BatchSpanProcessor(OTLPSpanExporter()), now, resource)
