"""
The log and the metrics on AWS: Powertools' JSON logger, CloudWatch's embedded metric format.

The only importer of `aws_lambda_powertools`. One line an attempt and one a request, with the
request's id as correlation id; no prompts, no answers, no keys.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping

import msgspec
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)

from .observe import AttemptRecord, RequestRecord

NAMESPACE = "Fanout"
SERVER_ERROR = 500


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

    def _metrics(
        self,
        values: Mapping[str, tuple[MetricUnit, float | None]],
        *dimensions: Mapping[str, str],
    ) -> None:
        """One embedded-metric line: the values in total, and by each of `dimensions`."""
        metrics = AmazonCloudWatchEMFProvider(
            namespace=NAMESPACE,
            service=self._service,
            default_dimensions={"service": self._service},
        )
        for name, (unit, value) in values.items():
            if value is not None:
                metrics.add_metric(name, unit, float(value))
        for by in dimensions:
            metrics.add_dimensions(**by)
        metrics.flush_metrics()
