"""The alarms, the topic that mails them, and the dashboard."""

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
from .dashboard import make_dashboard
from .metrics import FIVE_MINUTES, GatewayMetrics

REJECTED = 3_000
"""Requests in five minutes: at ten a second, a day of them costs about $4."""


class Monitoring(Construct):
    """Alarms on errors, throttling, latency, rejected requests and spend; a dashboard by option."""

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
        self.metrics = GatewayMetrics(cdk.Stack.of(self).stack_name)
        self._topic = self._mail(props.alarm_email) if props.alarm_email else None
        self.errors = self.alarm(
            "Errors",
            function.metric_errors(period=FIVE_MINUTES),
            1,
            "the API function failed. See its log",
        )
        self.alarm(
            "ServerErrors",
            self.metrics.metric("Errors", "Sum"),
            5,
            "five requests in five minutes got a 5xx: providers are down or reject their keys",
        )
        self.alarm(
            "Throttles",
            function.metric_throttles(period=FIVE_MINUTES),
            1,
            "more requests at the same time than `fanout:concurrency` or the account allows",
        )
        self.alarm(
            "Slow",
            api.metric_latency(period=FIVE_MINUTES, statistic="p99"),
            120_000,
            "one request in a hundred took more than two minutes",
        )
        self.alarm(
            "Rejected",
            api.metric_client_error(period=FIVE_MINUTES, statistic="Sum"),
            REJECTED,
            "many requests are rejected (4xx): a client sends a wrong key or goes on after a 429, "
            "or somebody guesses keys. Each is billed; the access log has the addresses",
        )
        self._watch_spend(props)
        self.dashboard = (
            make_dashboard(self, self.metrics, function, api) if props.dashboard else None
        )

    def _watch_spend(self, props: GatewayProps) -> None:
        """Create the alarm on what an hour costs and, by option, that on soft budgets."""
        self.alarm(
            "Spend",
            self.metrics.metric("CostUSD", "Sum", cdk.Duration.hours(1)),
            props.spend_alarm,
            f"requests cost more than {props.spend_alarm:g} dollars in an hour "
            "(`fanout:spend_alarm`)",
        )
        if props.soft_budget_alarm:
            self.alarm(
                "SoftBudgets",
                self.metrics.metric("SoftBudgets", "Sum"),
                1,
                "a virtual key, a team or a user has reached its soft budget. The function's log "
                "has a line `soft_budget` that says which",
            )

    def alarm(
        self, name: str, metric: cloudwatch.IMetric, threshold: float, why: str
    ) -> cloudwatch.Alarm:
        """Create an alarm at `threshold` and above; with `fanout:alarm_email` it sends a mail."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{self.metrics.service}: {why}",
        )
        if self._topic:
            alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm

    def _mail(self, address: str) -> sns.Topic:
        """Create the topic of the alarms, with a subscription of the address."""
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
