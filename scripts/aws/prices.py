"""
AWS's list prices for what the stack uses: us-east-1, US dollars, without the free tier.

Each has its source and the day on which it was looked up.
"""

from __future__ import annotations

from typing import NamedTuple


class Price(NamedTuple):
    """The price of one `unit` of `what`, in dollars."""

    what: str
    dollars: float
    unit: str
    source: str
    date: str


_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_S3 = "https://aws.amazon.com/s3/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_GUIDANCE = (
    "https://github.com/aws-solutions-library-samples/"
    "guidance-for-multi-provider-generative-ai-gateway-on-aws"
)

COMPUTE = {
    "arm64": Price("Lambda, arm64", 0.0000133334, "GB-second", _LAMBDA, "2026-11-23"),
    "x86_64": Price("Lambda, x86_64", 0.0000166667, "GB-second", _LAMBDA, "2026-11-23"),
}
INVOCATION = Price("Lambda", 0.20, "million requests", _LAMBDA, "2026-11-23")
PROVISIONED = Price(
    "Lambda, provisioned concurrency, arm64", 0.0000033334, "GB-second", _LAMBDA, "2026-03-08"
)
SNAPSHOT = Price("Lambda, SnapStart, a snapshot", 0.0000015046, "GB-second", _LAMBDA, "2026-11-23")
RESTORE = Price("Lambda, SnapStart, a restore", 0.0001397998, "GB", _LAMBDA, "2026-11-23")
API = Price(
    "API Gateway, REST",
    3.50,
    "million requests",
    "https://aws.amazon.com/api-gateway/pricing/",
    "2026-11-23",
)
DATA_OUT = Price(
    "Data to the internet",
    0.09,
    "GB",
    "https://aws.amazon.com/ec2/pricing/on-demand/",
    "2026-11-23",
)
_EC2, _VPC = "https://aws.amazon.com/ec2/pricing/on-demand/", "https://aws.amazon.com/vpc/pricing/"
INSTANCE = Price("EC2, m7g.large (2 vCPU, 8 GB)", 0.0816, "hour", _EC2, "2026-06-17")
FEE = Price("Lambda Managed Instances, fee", 0.15, "dollar of EC2's price", _LAMBDA, "2026-09-20")
NAT = Price("NAT gateway", 0.045, "hour", _VPC, "2026-02-24")
NAT_DATA = Price("NAT gateway", 0.045, "GB", _VPC, "2026-02-24")
ADDRESS = Price("Public IPv4 address", 0.005, "hour", _VPC, "2026-02-24")
SECRET = Price(
    "Secrets Manager", 0.40, "secret a month", "https://aws.amazon.com/secrets-manager/pricing/",
    "2026-11-23",
)  # fmt: skip
SECRET_CALLS = Price(
    "Secrets Manager", 0.05, "10,000 calls", "https://aws.amazon.com/secrets-manager/pricing/",
    "2026-11-23",
)  # fmt: skip
LOGS = Price("CloudWatch Logs, ingested", 0.50, "GB", _CLOUDWATCH, "2026-06-13")
METRIC = Price("CloudWatch, a custom metric", 0.30, "month", _CLOUDWATCH, "2026-02-15")
ALARM = Price("CloudWatch, an alarm", 0.10, "month", _CLOUDWATCH, "2026-06-13")
DASHBOARD = Price("CloudWatch, a dashboard", 3.00, "month", _CLOUDWATCH, "2026-06-13")
TRACES = Price(
    "X-Ray", 5.00, "million traces", "https://aws.amazon.com/xray/pricing/", "2026-11-23"
)
TRANSITION = Price(
    "Step Functions, standard",
    0.025,
    "1,000 transitions",
    "https://aws.amazon.com/step-functions/pricing/",
    "2026-11-23",
)
S3_PUT = Price("S3, PUT, COPY or LIST", 0.005, "1,000 requests", _S3, "2026-11-25")
S3_GET = Price("S3, GET", 0.0004, "1,000 requests", _S3, "2026-11-25")
S3_STORAGE = Price("S3, standard storage", 0.023, "GB-month", _S3, "2026-11-25")
EVENT = Price(
    "EventBridge, events of S3", 1.00, "million", "https://aws.amazon.com/eventbridge/pricing/",
    "2026-11-29",
)  # fmt: skip
WRITE = Price("DynamoDB, on demand", 0.625, "million writes of 1 kB", _DYNAMODB, "2026-11-23")
READ = Price("DynamoDB, on demand", 0.125, "million reads of 4 kB", _DYNAMODB, "2026-11-23")
PROXY = Price("LiteLLM on ECS, AWS's guidance, idle", 378.10, "month", _GUIDANCE, "2026-07-15")
PROXY_TASK = Price("One of its two tasks (2 vCPU, 4 GB)", 57.67, "month", _GUIDANCE, "2026-07-15")
PROXY_BALANCER = Price("Its load balancer", 24.62, "month", _GUIDANCE, "2026-07-15")

ALL = (
    *COMPUTE.values(), INVOCATION, INSTANCE, FEE, NAT, NAT_DATA, ADDRESS, API, DATA_OUT, SECRET,
    SECRET_CALLS, LOGS, METRIC, ALARM, DASHBOARD, TRACES, PROVISIONED, SNAPSHOT, RESTORE,
    TRANSITION, S3_PUT, S3_GET, S3_STORAGE, EVENT, WRITE, READ, PROXY, PROXY_TASK, PROXY_BALANCER,
)  # fmt: skip
