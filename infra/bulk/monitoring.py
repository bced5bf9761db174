"""Alarms and dashboard graphs for jobs."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from ..monitoring.dashboard import graph
from ..monitoring.metrics import FIVE_MINUTES, GatewayMetrics
from ..monitoring.monitoring import Monitoring
from .jobs import BulkJobs

CHECK_INTERVAL = cdk.Duration.hours(1)
"""How often the finisher looks for overdue jobs. AWS sends no event for those."""


class JobMonitoring(Construct):
    """
    Alarms on failed executions, overdue jobs and files that started no job; three graphs.

    An execution that takes longer than any job may is that of an overdue job.
    """

    def __init__(
        self, scope: Construct, id_: str, *, monitoring: Monitoring, jobs: BulkJobs
    ) -> None:
        super().__init__(scope, id_)
        self._add_alarms(monitoring, jobs)
        events.Rule(
            self,
            "Look",
            description="Fanout: look for overdue jobs",
            schedule=events.Schedule.rate(CHECK_INTERVAL),
            targets=[
                targets.LambdaFunction(
                    jobs.functions.finish.function,
                    event=events.RuleTargetInput.from_object({"check": "overdue_jobs"}),
                )
            ],
        )
        if monitoring.dashboard:
            monitoring.dashboard.add_widgets(*_graphs(monitoring.metrics, jobs))

    def _add_alarms(self, monitoring: Monitoring, jobs: BulkJobs) -> None:
        machine, dead_letters = jobs.machine.machine, jobs.inbox.dead_letters
        for name, metric, what in (
            ("JobsFailed", machine.metric_failed, "failed"),
            ("JobsAborted", machine.metric_aborted, "was stopped; redrive it or start it again"),
        ):
            why = f"a job's execution {what}. Step Functions shows the cause (docs/bulk.md)"
            monitoring.alarm(name, metric(period=FIVE_MINUTES, statistic="Sum"), 1, why)
        monitoring.alarm(
            "JobsStuck",
            monitoring.metrics.metric("StuckJobs", "Maximum", CHECK_INTERVAL),
            1,
            "a job is an hour overdue and has not ended: start it again; or the function of its "
            "native batches fails: see its log (docs/bulk.md)",
        )
        monitoring.alarm(
            "InboxLost",
            dead_letters.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES),
            1,
            "a file in the inbox could not start a job. Its event is in the dead-letter queue",
        )


def _graphs(metrics: GatewayMetrics, jobs: BulkJobs) -> list[cloudwatch.GraphWidget]:
    worker = jobs.functions.work.function
    return [
        graph(
            "Jobs: lines a second, and failed ones",
            _rate(metrics, "Lines"),
            _rate(metrics, "LineFailures"),
        ),
        graph("Jobs: spend (USD, five minutes)", metrics.metric("LineCostUSD", "Sum")),
        graph(
            "Jobs: workers at once, throttled",
            worker.metric("ConcurrentExecutions", statistic="Maximum"),
            worker.metric_throttles(),
        ),
    ]


def _rate(metrics: GatewayMetrics, name: str) -> cloudwatch.MathExpression:
    """Return the metric's events a second."""
    count = metrics.metric(name, "Sum")
    return cloudwatch.MathExpression(
        expression=f"{name.lower()} / PERIOD({name.lower()})",
        label=name,
        using_metrics={name.lower(): count},
        period=FIVE_MINUTES,
    )
