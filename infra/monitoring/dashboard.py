"""The CloudWatch dashboard."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .metrics import GatewayMetrics


def make_dashboard(
    scope: Construct,
    metrics: GatewayMetrics,
    function: lambda_.Alias,
    api: apigateway.RestApi,
) -> cloudwatch.Dashboard:
    """Create the dashboard `STACK-REGION` and an output with its address."""
    stack = cdk.Stack.of(scope)
    name = f"{metrics.service}-{stack.region}"  # dashboards are global
    dashboard = cloudwatch.Dashboard(
        scope, "Dashboard", default_interval=cdk.Duration.hours(6), dashboard_name=name
    )
    console = f"https://{console_domain(stack.region)}/cloudwatch/home?region={stack.region}"
    cdk.CfnOutput(stack, "DashboardUrl", value=f"{console}#dashboards/dashboard/{name}")
    dashboard.add_widgets(
        graph(
            "Requests and server errors",
            *[metrics.metric(name, "Sum") for name in ("Requests", "Errors")],
        ),
        graph(
            "First token, all models (ms)",
            *[metrics.metric("FirstToken", statistic) for statistic in ("p50", "p90", "p99")],
        ),
        graph("Spend (USD, five minutes)", metrics.metric("CostUSD", "Sum")),
    )
    dashboard.add_widgets(
        graph("Attempts by model", metrics.by("model", "Attempts", "Sum")),
        graph("First token by model, p50 (ms)", metrics.by("model", "FirstToken", "p50")),
        graph("Failures by model", metrics.by("model", "AttemptFailures", "Sum")),
    )
    dashboard.add_widgets(
        graph("Spend by model (USD)", metrics.by("model", "CostUSD", "Sum")),
        graph("Tokens out by model", metrics.by("model", "CompletionTokens", "Sum")),
        graph("Cancelled by mode", metrics.by("mode", "Cancelled", "Sum")),
    )
    dashboard.add_widgets(
        graph(
            "Votes and judges",
            *[metrics.metric(name, "Sum") for name in ("Decisions", "Undecided", "JudgeFailures")],
        ),
        graph("Calls not made, as the models agreed", metrics.metric("CallsSaved", "Sum")),
        graph(
            "Hedges by recent times",
            *[metrics.metric(name, "Sum") for name in ("Hedges", "HedgesWithheld")],
        ),
    )
    dashboard.add_widgets(*_aws_graphs(function, api))
    return dashboard


def console_domain(region: str) -> str:
    """Return the host of the console of the region's partition."""
    partitions = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
    found = (host for prefix, host in partitions.items() if region.startswith(prefix))
    return next(found, "console.aws.amazon.com")


def _aws_graphs(
    function: lambda_.Alias, api: apigateway.RestApi
) -> tuple[cloudwatch.GraphWidget, ...]:
    """Return the row of AWS's own metrics."""
    return (
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


def graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    """Return a graph that fills a third of a row."""
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8, height=6)
