"""The gateway's own metrics, queried by the dimensions under which the functions write them."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch

NAMESPACE = "Fanout"
FIVE_MINUTES = cdk.Duration.minutes(5)


@dataclass(frozen=True)
class GatewayMetrics:
    """The metrics of one stack; `service` is its name."""

    service: str

    def metric(
        self, name: str, statistic: str, period: cdk.Duration = FIVE_MINUTES
    ) -> cloudwatch.Metric:
        """Return one metric of the whole stack."""
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"service": self.service},
            statistic=statistic,
            period=period,
        )

    def by(self, dimension: str, name: str, statistic: str) -> cloudwatch.MathExpression:
        """Return the metric with a line for each value that `dimension` has, also later ones."""
        schema = f"{{{NAMESPACE},{dimension},service}}"
        where = f'MetricName="{name}" service="{self.service}"'
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{schema} {where}', '{statistic}', 300)",
            label="",
            using_metrics={},
            period=FIVE_MINUTES,
        )
