"""What the stack costs, and the page that says so. Tokens are the provider's, and not in it."""

from __future__ import annotations

from collections.abc import Sequence

from . import job_cost, prices

MILLION = 1_000_000
CENT = 0.01
MONTH = 730 * 3600
"""Seconds."""

# The stack as it is: config.aws.yaml's three models and the gateway's own key, callers who use
# two modes, answers of a few hundred words, a key looked up each five minutes where it is used.
KEYS = 4
MODELS = 3
MODES = 2
ALARMS = 10
ATTEMPT_METRICS, REQUEST_METRICS = 7, 3
LOG_BYTES = 2_500
ANSWER_BYTES = 4_000
LOOK_UP = 300
SAMPLED = 0.05
"""X-Ray's own rule: one request a second, and of the others this share."""

MEMORIES = (256, 512, 1_024)
WAITS = (1, 3, 10, 30)
MONTHS = (0, 10_000, 100_000, MILLION, 10 * MILLION, 30 * MILLION)


def compute(requests: float, memory: int, seconds: float, machine: str = "arm64") -> float:
    """The function's own cost: what it waits is paid for, by its memory."""
    waited = requests * seconds * memory / 1024 * prices.COMPUTE[machine].dollars
    return waited + requests / MILLION * prices.INVOCATION.dollars


def per_request(requests: float, memory: int, seconds: float) -> float:
    """Everything that goes by the number of requests, in a month of as many."""
    api = requests / MILLION * prices.API.dollars
    logs = requests * LOG_BYTES / 1e9 * prices.LOGS.dollars
    out = requests * ANSWER_BYTES / 1e9 * prices.DATA_OUT.dollars
    return compute(requests, memory, seconds) + api + logs + out + traces(requests)


def traces(requests: float) -> float:
    """X-Ray's cost where the requests come evenly, which is the most that they can cost."""
    recorded = min(requests, MONTH) + max(requests - MONTH, 0) * SAMPLED
    return recorded / MILLION * prices.TRACES.dollars


def idle() -> float:
    """A month without a request."""
    return KEYS * prices.SECRET.dollars + ALARMS * prices.ALARM.dollars + prices.DASHBOARD.dollars


def metrics() -> float:
    """A month in each hour of which there is a request; by the hour where there is not."""
    attempts = ATTEMPT_METRICS * (1 + MODELS + MODES)
    return (attempts + REQUEST_METRICS * (1 + MODES)) * prices.METRIC.dollars


def month(requests: float, memory: int = 512, seconds: float = 3) -> float:
    """The whole bill of a month in which that many requests come evenly."""
    if not requests:
        return idle()
    environments = max(1.0, requests * seconds / MONTH)
    calls = environments * KEYS * MONTH / LOOK_UP
    looked_up = calls / 10_000 * prices.SECRET_CALLS.dollars
    return idle() + metrics() + looked_up + per_request(requests, memory, seconds)


def break_even(dollars: float) -> float:
    """The requests a month at which the bill is as high as this."""
    low, high = 0.0, 1e10
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (middle, high) if month(middle) < dollars else (low, middle)
    return low


# ---- the page ----

PAGE = """# What it costs on AWS

Made by `make docs` from the prices below: us-east-1, list prices, the free tier left out. The
models' tokens come on top; their providers bill them.

## Idle

**${idle:.2f} a month**: {keys} keys ${of_keys:.2f}, {alarms} alarms ${of_alarms:.2f}, a dashboard
${of_dashboard:.2f}. An account's first ten alarms and three dashboards are free; then it is
${of_keys:.2f}. Nothing runs, so nothing else is paid for.

## A million requests

By how long the model takes to answer and by the function's memory: a Lambda is paid for while it
waits. A fan-out to many models is one wait, the longest.

{by_size}

Of it, whatever the size: API Gateway ${of_api:.2f}, X-Ray up to ${of_traces:.2f} (it records one
request a second and {sampled:.0%} of the others), logs ${of_logs:.2f} ({log:g} kB a request), data
out ${of_data:.2f} ({answer:g} kB an answer).

## A month, beside a proxy that is always on

512 MB, 3 s an answer, requests spread evenly. Of it ${of_metrics:.2f} is for the gateway's own
metrics ({models} models, {modes} modes, a request in every hour; they are billed by the hour).

{by_month}

Beside AWS's guidance (two tasks, a database, a cache, NAT, a firewall) this stack is the dearer one
from {even:.0f} million requests a month on; beside one task and a load balancer, without a second
zone or a spare, from {even_small:.1f} million.

## A job of a million lines

By how long an answer takes and by the memory of its workers ([jobs](bulk.md)); plan and finish are
in it. A worker has up to {shard} lines under way, so its wait is shared by them.

{by_job}

Of one of 3 s and 1,024 MB: functions ${job.functions:.2f}, state machine ${job.states:.2f}, S3
${job.storage:.2f}, DynamoDB ${job.records:.2f}, logs ${job.logs:.2f}. It is computed, not measured:
a shard of {shard} lines is taken to be {waves} answers' time and {beside} s, with a put, a look
and {counts} writes of counts a second, and {transitions} transitions. Not in it are storage
(${of_storage:.3f} a GB and month, for `fanout:file_days`), the jobs' own metrics
(${of_job_metrics:.2f} a month with a job in every hour), and what a worker does again after a
fault. Asked one by one, the same million are ${alone:.2f} at 512 MB.

## What would change it

* An environment kept warm (provisioned concurrency, 512 MB): ${of_warm:.2f} a month each, used or
  not ([why it is off](aws.md)).
* A web application firewall: $7.00 a month in AWS's guidance, and more by request.
* x86_64 instead of arm64: a quarter more for the function.
* Fewer models in the config, or fewer modes in use: each is a line in every metric.

## The prices

Looked up on the day given, some in others' copies of AWS's pages. Look again before you count on
one.

{prices}
"""


def page() -> str:
    """docs/cost.md."""
    small = prices.PROXY_TASK.dollars + prices.PROXY_BALANCER.dollars
    return PAGE.format(
        idle=idle(),
        keys=KEYS,
        of_keys=KEYS * prices.SECRET.dollars,
        alarms=ALARMS,
        of_alarms=ALARMS * prices.ALARM.dollars,
        of_dashboard=prices.DASHBOARD.dollars,
        by_size=_by_size(),
        of_api=prices.API.dollars,
        of_traces=traces(MILLION),
        sampled=SAMPLED,
        of_logs=LOG_BYTES * MILLION / 1e9 * prices.LOGS.dollars,
        log=LOG_BYTES / 1000,
        of_data=ANSWER_BYTES * MILLION / 1e9 * prices.DATA_OUT.dollars,
        answer=ANSWER_BYTES / 1000,
        of_metrics=metrics(),
        models=MODELS,
        modes=MODES,
        by_month=_by_month(small),
        even=break_even(prices.PROXY.dollars) / MILLION,
        even_small=break_even(small) / MILLION,
        shard=job_cost.SHARD,
        by_job=_by_job(),
        job=job_cost.job(MILLION, 1_024, 3),
        waves=job_cost.WAVES,
        beside=job_cost.BESIDE,
        counts=job_cost.COUNTS,
        transitions=job_cost.TRANSITIONS,
        of_job_metrics=job_cost.METRICS * prices.METRIC.dollars,
        of_storage=prices.S3_STORAGE.dollars,
        alone=per_request(MILLION, 512, 3),
        of_warm=0.5 * MONTH * prices.KEPT_WARM.dollars,
        prices=_prices(),
    )


def _by_size() -> str:
    heads = ["answer takes", *(f"{memory:,} MB" for memory in MEMORIES)]
    return _table(
        heads,
        [
            [f"{wait} s", *(f"${per_request(MILLION, memory, wait):.2f}" for memory in MEMORIES)]
            for wait in WAITS
        ],
    )


def _by_job() -> str:
    return _table(
        ["answer takes", *(f"{memory:,} MB" for memory in job_cost.MEMORIES)],
        [
            [
                f"{wait} s",
                *(f"${job_cost.job(MILLION, m, wait).total:.2f}" for m in job_cost.MEMORIES),
            ]
            for wait in job_cost.WAITS
        ],
    )


def _by_month(small: float) -> str:
    guidance = prices.PROXY.dollars
    return _table(
        ["requests", "this stack", f"LiteLLM on ECS, ${guidance:.2f}", f"one task, ${small:.2f}"],
        [
            [f"{n:,}", f"${month(n):,.2f}", f"{month(n) / guidance:.0%}", f"{month(n) / small:.0%}"]
            for n in MONTHS
        ],
    )


def _prices() -> str:
    return _table(
        ["what", "price", "for", "looked up"],
        [[p.what, f"${_plain(p.dollars)}", p.unit, f"[{p.date}]({p.source})"] for p in prices.ALL],
    )


def _plain(dollars: float) -> str:
    return f"{dollars:.2f}" if dollars >= CENT else f"{dollars:.10f}".rstrip("0")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (heads, ["---"] * len(heads), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
