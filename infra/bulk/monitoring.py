"""What to look at and what to be woken by where there are jobs."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from ..monitoring.monitoring import FIVE_MINUTES, Watch, graph
from .jobs import BulkJobs

LOOK = cdk.Duration.hours(1)
"""How often somebody looks for jobs that are past their time: no event tells of those."""


class JobWatch(Construct):
    """Alarms on executions that failed, jobs that hang, files that started none; three graphs."""

    def __init__(self, scope: Construct, id_: str, *, watch: Watch, jobs: BulkJobs) -> None:
        super().__init__(scope, id_)
        machine, lost = jobs.machine.machine, jobs.inbox.lost
        for name, metric, what in (
            ("JobsFailed", machine.metric_failed, "failed"),
            ("JobsTimedOut", machine.metric_timed_out, "took longer than any job may"),
            ("JobsAborted", machine.metric_aborted, "was stopped: redrive it, or start it again"),
        ):
            why = f"a job's execution {what}; Step Functions has its cause (docs/bulk.md)"
            watch.alarm(name, metric(period=FIVE_MINUTES, statistic="Sum"), 1, why)
        watch.alarm(
            "JobsStuck",
            watch.metric("StuckJobs", "Maximum", LOOK),
            1,
            "a job is an hour past its time and has not ended: start it again (docs/bulk.md)",
        )
        watch.alarm(
            "InboxLost",
            lost.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES),
            1,
            "a file in the inbox could not start a job: its event waits in the queue",
        )
        events.Rule(
            self,
            "Look",
            description="Fanout: is a job past its time?",
            schedule=events.Schedule.rate(LOOK),
            targets=[
                targets.LambdaFunction(
                    jobs.functions.finish.function,
                    event=events.RuleTargetInput.from_object({"look": "stuck"}),
                )
            ],
        )
        watch.board.add_widgets(*self._graphs(watch, jobs))

    def _graphs(self, watch: Watch, jobs: BulkJobs) -> list[cloudwatch.GraphWidget]:
        work = jobs.functions.work.function
        return [
            graph(
                "Jobs: lines a second, and failed ones",
                self._rate(watch, "Lines"),
                self._rate(watch, "LineFailures"),
            ),
            graph("Jobs: spend (USD, five minutes)", watch.metric("LineCostUSD", "Sum")),
            graph(
                "Jobs: workers at once, throttled",
                work.metric("ConcurrentExecutions", statistic="Maximum"),
                work.metric_throttles(),
            ),
        ]

    def _rate(self, watch: Watch, name: str) -> cloudwatch.MathExpression:
        counted = watch.metric(name, "Sum")
        return cloudwatch.MathExpression(
            expression=f"{name.lower()} / PERIOD({name.lower()})",
            label=name,
            using_metrics={name.lower(): counted},
            period=FIVE_MINUTES,
        )
