"""What to look at and what to be woken by: a dashboard and alarms over the gateway's metrics."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from ..props import GatewayProps

NAMESPACE = "Fanout"
FIVE_MINUTES = cdk.Duration.minutes(5)


class Watch(Construct):
    """One dashboard; alarms on errors, throttles, slowness and spend, by mail if asked for."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        props: GatewayProps,
        function: lambda_.Alias,
        api: apigateway.RestApi,
    ) -> None:
        super().__init__(scope, id_)
        self._service = cdk.Stack.of(self).stack_name
        self._topic = self._mail(props.alarm_email) if props.alarm_email else None
        self.errors = self.alarm(
            "Errors",
            function.metric_errors(period=FIVE_MINUTES),
            1,
            "the function itself failed: see its log",
        )
        self.alarm(
            "ServerErrors",
            self.metric("Errors", "Sum"),
            5,
            "five requests in five minutes got a 5xx: providers down, or keys refused",
        )
        self.alarm(
            "Throttles",
            function.metric_throttles(period=FIVE_MINUTES),
            1,
            "more calls at once than `fanout:concurrency` or the account allow",
        )
        self.alarm(
            "Slow",
            api.metric_latency(period=FIVE_MINUTES, statistic="p99"),
            120_000,
            "one request in a hundred took over two minutes",
        )
        self.alarm(
            "Spend",
            self.metric("CostUSD", "Sum", cdk.Duration.hours(1)),
            props.spend_alarm,
            f"over {props.spend_alarm:g} dollars an hour by the config's prices "
            "(`fanout:spend_alarm`)",
        )
        self.board = self._dashboard(function, api)

    def metric(
        self, name: str, statistic: str, period: cdk.Duration = FIVE_MINUTES
    ) -> cloudwatch.Metric:
        """One of the gateway's own."""
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"service": self._service},
            statistic=statistic,
            period=period,
        )

    def _by(self, name: str, statistic: str, dimension: str) -> cloudwatch.MathExpression:
        """The metric, a line for each value of `dimension` that there ever is."""
        schema = f"{{{NAMESPACE},{dimension},service}}"
        where = f'MetricName="{name}" service="{self._service}"'
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{schema} {where}', '{statistic}', 300)",
            label="",
            using_metrics={},
            period=FIVE_MINUTES,
        )

    def alarm(
        self, name: str, metric: cloudwatch.IMetric, threshold: float, why: str
    ) -> cloudwatch.Alarm:
        """At `threshold` and above; by mail, if that was asked for."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{self._service}: {why}",
        )
        if self._topic:
            alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm

    def _mail(self, address: str) -> sns.Topic:
        topic = sns.Topic(self, "Alarms", enforce_ssl=True)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
            )
        )
        topic.add_subscription(subscriptions.EmailSubscription(address))
        return topic

    def _dashboard(self, function: lambda_.Alias, api: apigateway.RestApi) -> cloudwatch.Dashboard:
        stack = cdk.Stack.of(self)
        name = f"{self._service}-{stack.region}"  # dashboards are global
        board = cloudwatch.Dashboard(
            self, "Dashboard", default_interval=cdk.Duration.hours(6), dashboard_name=name
        )
        home = f"https://console.aws.amazon.com/cloudwatch/home?region={stack.region}"
        cdk.CfnOutput(stack, "DashboardUrl", value=f"{home}#dashboards/dashboard/{name}")
        requests = [self.metric(name, "Sum") for name in ("Requests", "Errors")]
        first = [self.metric("FirstToken", s) for s in ("p50", "p90", "p99")]
        board.add_widgets(
            graph("Requests and server errors", *requests),
            graph("First token, all models (ms)", *first),
            graph("Spend (USD, five minutes)", self.metric("CostUSD", "Sum")),
        )
        board.add_widgets(
            graph("Attempts by model", self._by("Attempts", "Sum", "model")),
            graph("First token by model, p50 (ms)", self._by("FirstToken", "p50", "model")),
            graph("Failures by model", self._by("AttemptFailures", "Sum", "model")),
        )
        board.add_widgets(
            graph("Spend by model (USD)", self._by("CostUSD", "Sum", "model")),
            graph("Tokens out by model", self._by("CompletionTokens", "Sum", "model")),
            graph("Cancelled by mode", self._by("Cancelled", "Sum", "mode")),
        )
        board.add_widgets(
            graph(
                "Function: at once, throttled",
                function.metric_throttles(),
                function.metric("ConcurrentExecutions", statistic="Maximum"),
            ),
            graph(
                "Function: duration (ms)",
                function.metric_duration(statistic="p50"),
                function.metric_duration(statistic="p99"),
            ),
            graph("API: 4xx, 5xx", api.metric_client_error(), api.metric_server_error()),
        )
        return board


def graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    """A third of a row."""
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8, height=6)
