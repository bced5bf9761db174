"""The dashboard and the alarms."""

from __future__ import annotations

import json

import pytest

from infra.monitoring.dashboard import console_domain
from scripts.aws.check import EVERYTHING

from .synth import Template


def test_there_are_alarms_on_errors_throttling_latency_spend_and_jobs(
    stack: Template,
) -> None:
    watched = {
        (a["Namespace"], a["MetricName"], a.get("Statistic") or a["ExtendedStatistic"])
        for a in stack.properties("CloudWatch::Alarm")
    }
    assert watched == {
        ("AWS/Lambda", "Errors", "Sum"),
        ("AWS/Lambda", "Throttles", "Sum"),
        ("AWS/ApiGateway", "Latency", "p99"),
        ("AWS/ApiGateway", "4XXError", "Sum"),
        ("Fanout", "Errors", "Sum"),
        ("Fanout", "CostUSD", "Sum"),
        ("AWS/States", "ExecutionsFailed", "Sum"),
        ("AWS/States", "ExecutionsAborted", "Sum"),
        ("Fanout", "StuckJobs", "Maximum"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
    }


def test_the_alarm_on_soft_budgets_is_an_option_as_it_has_a_price(
    stack: Template, everything: Template
) -> None:
    for each, count in ((stack, 0), (everything, 1)):
        names = [alarm["MetricName"] for alarm in each.properties("CloudWatch::Alarm")]
        assert names.count("SoftBudgets") == count


def test_missing_data_raises_no_alarm(stack: Template) -> None:
    missing = {a["TreatMissingData"] for a in stack.properties("CloudWatch::Alarm")}
    assert missing == {"notBreaching"}


def test_alarms_query_the_gateways_metrics_by_the_dimension_that_it_writes(
    stack: Template,
) -> None:
    """The dimension is the stack's name, which separates two stacks in one account."""
    own = [a for a in stack.properties("CloudWatch::Alarm") if a["Namespace"] == "Fanout"]
    assert [a["Dimensions"] for a in own] == [[{"Name": "service", "Value": "Fanout"}]] * 3
    variables = stack.one("Lambda::Function", "Api")["Environment"]["Variables"]
    assert variables["FANOUT_SERVICE"] == "Fanout"


def test_alarms_are_mailed_only_by_option(stack: Template, everything: Template) -> None:
    assert not stack.resources("SNS::Topic")
    assert all("AlarmActions" not in a for a in stack.properties("CloudWatch::Alarm"))

    (topic,) = everything.resources("SNS::Topic")
    subscription = everything.one("SNS::Subscription")
    assert subscription["Protocol"] == "email"
    assert subscription["Endpoint"] == EVERYTHING["alarm_email"]
    for alarm in everything.properties("CloudWatch::Alarm"):
        assert [everything.render(action) for action in alarm["AlarmActions"]] == [f"<{topic}>"]


def test_the_topic_accepts_alarms_of_this_account_over_tls_only(everything: Template) -> None:
    deny, allow = everything.one("SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allow["Action"] == "sns:Publish"
    account = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert allow["Condition"] == account


def test_the_dashboard_is_named_after_its_stack_and_region(
    stack: Template, everything: Template
) -> None:
    """Dashboards are global: without the region, two stacks would share one."""
    name = everything.render(everything.one("CloudWatch::Dashboard")["DashboardName"])
    assert name == "Everything-<AWS::Region>"
    assert everything.render(everything.outputs["DashboardUrl"]["Value"]).endswith(f"/{name}")
    assert not stack.resources("CloudWatch::Dashboard")  # it has a price
    assert "DashboardUrl" not in stack.outputs


def test_the_dashboard_has_a_line_for_each_model_also_for_later_ones(everything: Template) -> None:
    stack = everything
    body = json.loads(stack.render(stack.one("CloudWatch::Dashboard")["DashboardBody"]))
    searches = [
        metric[0]["expression"]
        for widget in body["widgets"]
        for metric in widget["properties"]["metrics"]
        if isinstance(metric[0], dict)
    ]
    for name, statistic in (
        ("Attempts", "Sum"),
        ("AttemptFailures", "Sum"),
        ("CompletionTokens", "Sum"),
        ("CostUSD", "Sum"),
        ("FirstToken", "p50"),
    ):
        where = f"""{{Fanout,model,service}} MetricName="{name}" service="Everything\""""
        assert f"SEARCH('{where}', '{statistic}', 300)" in searches
    assert len(body["widgets"]) == 18
    decided = {"Decisions", "Undecided", "JudgeFailures", "CallsSaved", "Hedges", "HedgesWithheld"}
    shown = [metric for widget in body["widgets"] for metric in widget["properties"]["metrics"]]
    assert decided <= {metric[1] for metric in shown if len(metric) > 1}


def test_the_dashboard_has_the_jobs_rate_spend_and_workers(everything: Template) -> None:
    stack = everything
    body = json.loads(stack.render(stack.one("CloudWatch::Dashboard")["DashboardBody"]))
    shown = {widget["properties"]["title"]: widget["properties"] for widget in body["widgets"]}
    rate = json.dumps(shown["Jobs: lines a second, and failed ones"]["metrics"])
    assert "lines / PERIOD(lines)" in rate
    assert '"Fanout", "LineFailures", "service", "Everything"' in rate
    assert "LineCostUSD" in json.dumps(shown["Jobs: spend (USD, five minutes)"]["metrics"])
    assert "ConcurrentExecutions" in json.dumps(shown["Jobs: workers at once, throttled"])


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("eu-west-1", "console.aws.amazon.com"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
        ("cn-north-1", "console.amazonaws.cn"),
        ("${Token[AWS.Region.4]}", "console.aws.amazon.com"),
    ],
)
def test_the_dashboards_address_is_that_of_the_regions_partition(region: str, domain: str) -> None:
    assert console_domain(region) == domain
