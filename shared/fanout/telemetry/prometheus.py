"""
Metrics for Prometheus: counts, times, tokens and costs of requests and of calls to models.

The only importer of prometheus_client. No label has a text of a client: models that the config does
not name are counted by their provider.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from .observers import AttemptRecord, DecisionRecord, RequestRecord

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0)
"""Seconds; the last is the default timeout of a request."""

CALL = ("model", "provider")

SOFT_BUDGETS = "Virtual keys and teams that have reached their soft budgets; the log has each."

UNEXPECTED_ERRORS = "Bugs, and errors of the storage; the log has each."


class PrometheusObserver:
    """
    Counts every record. `is_named` says whether the config names a model.

    `rendered` returns the metrics in the form that a scraper's `Accept` header asks for.
    """

    def __init__(self, is_named: Callable[[str], bool]) -> None:
        self._is_named = is_named
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "fanout_requests",
            "Requests of clients, by the name of the client's key.",
            ("client", "mode", "status"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "fanout_request_duration_seconds",
            "Time from a request's arrival to the end of its response.",
            ("mode",),
            buckets=BUCKETS,
            registry=registry,
        )
        self._calls = Counter(
            "fanout_calls",
            "Calls to models: `ok`, `failed` (with the error's class) or `cancelled`.",
            (*CALL, "outcome", "error"),
            registry=registry,
        )
        self._call_seconds = Histogram(
            "fanout_call_duration_seconds",
            "Time of a call to a model.",
            CALL,
            buckets=BUCKETS,
            registry=registry,
        )
        self._first_token_seconds = Histogram(
            "fanout_first_token_seconds",
            "Time from a call's start to its first content.",
            CALL,
            buckets=BUCKETS,
            registry=registry,
        )
        self._tokens = Counter(
            "fanout_tokens",
            "Tokens, by type: `input` or `output`.",
            (*CALL, "type"),
            registry=registry,
        )
        self._cost = Counter(
            "fanout_cost_usd",
            "The cost of calls whose price is known, in US dollars.",
            CALL,
            registry=registry,
        )
        self._decisions = _DecisionCounts(registry)
        self._soft_budgets = Counter("fanout_soft_budgets_reached", SOFT_BUDGETS, registry=registry)
        self._errors = Counter("fanout_unexpected_errors", UNEXPECTED_ERRORS, registry=registry)
        self._in_flight = Gauge(
            "fanout_requests_in_flight",
            "Requests that have no complete response.",
            registry=registry,
        )

    def watch(self, in_flight: Callable[[], float]) -> None:
        """Read the number of requests in flight from `in_flight`."""
        self._in_flight.set_function(in_flight)

    def attempt(self, record: AttemptRecord) -> None:
        """Count a call to a model."""
        named = self._is_named(record.model)
        call = (record.model if named else f"{record.provider}/*", record.provider)
        self._calls.labels(*call, record.outcome, record.error or "").inc()
        self._call_seconds.labels(*call).observe(record.duration_ms / 1_000)
        if record.first_token_ms is not None:
            self._first_token_seconds.labels(*call).observe(record.first_token_ms / 1_000)
        if usage := record.usage:
            self._tokens.labels(*call, "input").inc(usage["prompt_tokens"])
            self._tokens.labels(*call, "output").inc(usage["completion_tokens"])
        if record.cost_usd:
            self._cost.labels(*call).inc(record.cost_usd)

    def request(self, record: RequestRecord) -> None:
        """Count a request."""
        self._requests.labels(record.caller or "", record.mode, record.status).inc()
        self._request_seconds.labels(record.mode).observe(record.duration_ms / 1_000)

    def decision(self, record: DecisionRecord) -> None:
        """Count a decision, its votes, and the calls that it saved or needed."""
        self._decisions.add(record)

    def unexpected_error(self, *_: object) -> None:
        """Count it: the log has which request it was, and what."""
        self._errors.inc()

    def soft_budget(self) -> None:
        """Count a key or team that has reached its soft budget."""
        self._soft_budgets.inc()

    def rendered(self, accept: str) -> tuple[bytes, str]:
        """The metrics, and their content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _DecisionCounts:
    """The counters of decisions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._decisions = Counter(
            "fanout_decisions",
            "Responses that votes or a judge decided on, and hedges by recent times, by outcome.",
            ("mode", "outcome"),
            registry=registry,
        )
        self._votes = Counter("fanout_votes", "Votes of models.", registry=registry)
        self._saved_calls = Counter(
            "fanout_calls_saved",
            "Calls that were not made, because the models agreed before.",
            registry=registry,
        )
        self._judge_calls = Counter(
            "fanout_judge_calls", "Calls to judges.", ("mode",), registry=registry
        )

    def add(self, record: DecisionRecord) -> None:
        """Count one decision."""
        self._decisions.labels(record.mode, record.outcome).inc()
        self._votes.inc(record.votes)
        self._saved_calls.inc(record.calls_saved)
        if record.judge is not None:
            self._judge_calls.labels(record.mode).inc(record.judge_calls)
