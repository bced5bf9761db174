"""
Logs and metrics on AWS: Powertools' JSON logger, and CloudWatch's embedded metric format.

The API function logs one line for each attempt and one for each request, with the request's id as
correlation id. A job's worker, which makes up to a thousand calls a second, writes sums. Nothing
contains a prompt, a response or a key.
"""

from __future__ import annotations

import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

from fanout.bulk.totals import Totals
from fanout.telemetry.observers import AttemptRecord, DecisionRecord, RequestRecord

NAMESPACE = "Fanout"
SERVER_ERROR = 500
Values: TypeAlias = Mapping[str, tuple[MetricUnit, float | None]]
UNITS = {"CostUSD": MetricUnit.NoUnit}

FLUSH_INTERVAL = 30.0
"""Seconds after which a worker writes its sums, if there are any."""


class PowertoolsObserver:
    """
    An `Observer` that writes to stdout, from which Lambda reads logs and metrics.

    `service`, a dimension of every metric, is the stack's name. Each record is written before its
    call returns, so nothing is lost when Lambda freezes the process.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._logger = Logger(service=service)

    def attempt(self, record: AttemptRecord) -> None:
        """Log one call to a provider; write its metrics in total, by model and by mode."""
        self._line("attempt", record, record.request_id, warning=record.is_warning)
        usage = record.usage
        values = {
            "Attempts": (MetricUnit.Count, 1.0),
            "AttemptFailures": (MetricUnit.Count, float(record.outcome == "failed")),
            "Cancelled": (MetricUnit.Count, float(record.outcome == "cancelled")),
            "FirstToken": (MetricUnit.Milliseconds, record.first_token_ms),
            "PromptTokens": (MetricUnit.Count, usage["prompt_tokens"] if usage else None),
            "CompletionTokens": (MetricUnit.Count, usage["completion_tokens"] if usage else None),
            "CostUSD": (MetricUnit.NoUnit, record.cost_usd),
        }
        self._metrics(values, {"model": record.model}, {"mode": record.mode})

    def request(self, record: RequestRecord) -> None:
        """Log one request; write its metrics in total and by mode."""
        self._line("request", record, record.request_id)
        values = {
            "Requests": (MetricUnit.Count, 1.0),
            "Errors": (MetricUnit.Count, float(record.status >= SERVER_ERROR)),
            "Latency": (MetricUnit.Milliseconds, record.duration_ms),
        }
        self._metrics(values, {"mode": record.mode})

    def decision(self, record: DecisionRecord) -> None:
        """Log one decision; write its metrics in total and by mode."""
        self._line("decision", record, record.request_id)
        values = {n: (MetricUnit.Count, value) for n, value in decision_counts(record).items()}
        self._metrics(values, {"mode": record.mode})

    def unexpected_error(self, request_id: str, error: BaseException) -> None:
        """
        Log where an error was raised, without its message, which may contain a prompt.

        It is a bug, or a call to one of the stack's AWS services failed.
        """
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        fields = {"error": type(error).__name__, "where": where}
        self._logger.error("unexpected_error", correlation_id=request_id, **fields)  # type: ignore[arg-type]

    def soft_budget(self, item: Mapping[str, Any]) -> None:
        """
        Log an account of a key, a team or a user that has reached its soft budget, and count it.

        The metric does not say whose it is: each value of a dimension has a price.
        """
        from fanout.keys.litellm import soft_budget_fields

        self._logger.warning("soft_budget", **soft_budget_fields(item))
        self._metrics({"SoftBudgets": (MetricUnit.Count, 1.0)})

    def _line(
        self,
        event: str,
        record: AttemptRecord | RequestRecord | DecisionRecord,
        request_id: str,
        *,
        warning: bool = False,
    ) -> None:
        fields = {k: v for k, v in msgspec.to_builtins(record).items() if k != "request_id"}
        log = self._logger.warning if warning else self._logger.info
        log(event, correlation_id=request_id, **fields)

    def _metrics(self, values: Values, *dimensions: Mapping[str, str]) -> None:
        write_metrics(self._service, values, *dimensions)


class PowertoolsBulkObserver(PowertoolsObserver):
    """
    The observer of a job's worker: it writes sums of attempts by model, and counts of lines.

    Failures are only counted: the job's error file has their causes. Unexpected errors are logged.
    """

    def __init__(self, service: str, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(service)
        self._now = now
        self._flushed = now()
        self._sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._decisions: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def attempt(self, record: AttemptRecord) -> None:
        """Add the attempt to the sums of its model."""
        sums, usage = self._sums[record.model], record.usage
        sums["Attempts"] += 1
        sums["AttemptFailures"] += record.outcome == "failed"
        sums["Cancelled"] += record.outcome == "cancelled"
        sums["PromptTokens"] += usage["prompt_tokens"] if usage else 0
        sums["CompletionTokens"] += usage["completion_tokens"] if usage else 0
        sums["CostUSD"] += record.cost_usd or 0.0
        if self._now() - self._flushed >= FLUSH_INTERVAL:
            self.flush()

    def decision(self, record: DecisionRecord) -> None:
        """Add the decision to the sums of its mode."""
        for name, count in decision_counts(record).items():
            self._decisions[record.mode][name] += count

    def lines(self, totals: Totals) -> None:
        """Write the counts of what a worker has done of its shard, if anything."""
        if not totals.lines:
            return
        counts = {"Lines": float(totals.lines), "LineFailures": float(totals.failed)}
        write_metrics(
            self._service,
            {name: (MetricUnit.Count, value) for name, value in counts.items()}
            | {"LineCostUSD": (MetricUnit.NoUnit, totals.known_cost_usd)},
        )

    def overdue(self, jobs: int) -> None:
        """Write the number of overdue jobs."""
        write_metrics(self._service, {"StuckJobs": (MetricUnit.Count, float(jobs))})

    def flush(self) -> None:
        """Write the sums and reset them."""
        self._flushed = self._now()
        for model, sums in self._sums.items():
            write_metrics(
                self._service,
                {n: (UNITS.get(n, MetricUnit.Count), value) for n, value in sums.items()},
                {"model": model},
            )
        for mode, counts in self._decisions.items():
            values = {name: (MetricUnit.Count, count) for name, count in counts.items()}
            write_metrics(self._service, values, {"mode": mode})
        self._sums.clear()
        self._decisions.clear()


def decision_counts(record: DecisionRecord) -> dict[str, float]:
    """The metrics of a decision; only those that its mode has, as each metric has a price."""
    if record.mode == "agree":
        return {
            "Decisions": 1.0,
            "Undecided": float(record.outcome == "undecided"),
            "Votes": float(record.votes),
            "CallsSaved": float(record.calls_saved),
        }
    if record.judge is not None:
        return {
            "Decisions": 1.0,
            "JudgeCalls": float(record.judge_calls),
            "JudgeFailures": float(record.outcome == "failed"),
        }
    is_started = record.outcome == "started"
    return {"Hedges": float(is_started), "HedgesWithheld": float(not is_started)}


def write_metrics(service: str, values: Values, *dimensions: Mapping[str, str]) -> None:
    """Write one line of metrics: the values in total, and by each of `dimensions`."""
    metrics = AmazonCloudWatchEMFProvider(
        namespace=NAMESPACE,
        service=service,
        default_dimensions={"service": service},
    )
    for name, (unit, value) in values.items():
        if value is not None:
            metrics.add_metric(name, unit, float(value))
    for by in dimensions:
        metrics.add_dimensions(**by)
    metrics.flush_metrics()
