"""
The log and the metrics on AWS: Powertools' JSON logger, CloudWatch's embedded metric format.

The only importer of `aws_lambda_powertools`. One line an attempt and one a request, with the
request's id as correlation id; workers of jobs, who ask a thousand times a second, tell sums. No
prompts, no answers, no keys.
"""

from __future__ import annotations

import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

from fanout.bulk.totals import Totals
from fanout.telemetry.observers import AttemptRecord, RequestRecord

NAMESPACE = "Fanout"
SERVER_ERROR = 500
Values: TypeAlias = Mapping[str, tuple[MetricUnit, float | None]]
UNITS = {"CostUSD": MetricUnit.NoUnit}

OFTEN = 30.0
"""Seconds after which sums are told, while there is something to tell."""


class PowertoolsObserver:
    """
    An `Observer` that writes to stdout, which is where Lambda reads logs and metrics.

    `service` tells stacks apart: it is a dimension of each metric. Every record is written whole
    before its call returns, so nothing waits to be flushed when the process is frozen.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._logger = Logger(service=service)

    def attempt(self, record: AttemptRecord) -> None:
        """One upstream call has ended: its line, and its metrics by model and by mode."""
        self._line("attempt", record, record.request_id)
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
        """One request has been answered: its line, and its metrics by mode."""
        self._line("request", record, record.request_id)
        values = {
            "Requests": (MetricUnit.Count, 1.0),
            "Errors": (MetricUnit.Count, float(record.status >= SERVER_ERROR)),
            "Latency": (MetricUnit.Milliseconds, record.duration_ms),
        }
        self._metrics(values, {"mode": record.mode})

    def bug(self, request_id: str, error: BaseException) -> None:
        """Where it failed, without the values: a frame's values may hold a prompt."""
        frames = traceback.extract_tb(error.__traceback__)
        where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        said = {"error": type(error).__name__, "where": where}
        self._logger.error("bug", correlation_id=request_id, **said)  # type: ignore[arg-type]

    def _line(self, event: str, record: AttemptRecord | RequestRecord, request_id: str) -> None:
        said = {k: v for k, v in msgspec.to_builtins(record).items() if k != "request_id"}
        self._logger.info(event, correlation_id=request_id, **said)

    def _metrics(self, values: Values, *dimensions: Mapping[str, str]) -> None:
        write_metrics(self._service, values, *dimensions)


class PowertoolsTotals(PowertoolsObserver):
    """
    The observer of a worker of jobs: of attempts it tells sums, by model, and of lines the rate.

    What failed is counted here, and its cause stands in the job's error file; only bugs are logged.
    """

    def __init__(self, service: str, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(service)
        self._now = now
        self._told = now()
        self._sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))

    def attempt(self, record: AttemptRecord) -> None:
        """Count it in."""
        sums, usage = self._sums[record.model], record.usage
        sums["Attempts"] += 1
        sums["AttemptFailures"] += record.outcome == "failed"
        sums["Cancelled"] += record.outcome == "cancelled"
        sums["PromptTokens"] += usage["prompt_tokens"] if usage else 0
        sums["CompletionTokens"] += usage["completion_tokens"] if usage else 0
        sums["CostUSD"] += record.cost_usd or 0.0
        if self._now() - self._told >= OFTEN:
            self.flush()

    def lines(self, tally: Totals) -> None:
        """What a worker has done of its shard, if it has done anything."""
        if not tally.lines:
            return
        counts = {"Lines": float(tally.lines), "LineFailures": float(tally.failed)}
        write_metrics(
            self._service,
            {name: (MetricUnit.Count, value) for name, value in counts.items()}
            | {"LineCostUSD": (MetricUnit.NoUnit, tally.cost)},
        )

    def stuck(self, jobs: int) -> None:
        """So many jobs should have ended."""
        write_metrics(self._service, {"StuckJobs": (MetricUnit.Count, float(jobs))})

    def flush(self) -> None:
        """Tell the sums."""
        self._told = self._now()
        for model, sums in self._sums.items():
            write_metrics(
                self._service,
                {n: (UNITS.get(n, MetricUnit.Count), value) for n, value in sums.items()},
                {"model": model},
            )
        self._sums.clear()


def write_metrics(service: str, values: Values, *dimensions: Mapping[str, str]) -> None:
    """One embedded-metric line: the values in total, and by each of `dimensions`."""
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
