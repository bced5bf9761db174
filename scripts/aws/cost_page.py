"""The page docs/cost.md: what the stack costs on AWS."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import job_cost, monthly_cost, prices
from .monthly_cost import MILLION

MEMORIES = (256, 512, 1_024)
DURATIONS = (1, 3, 10, 30)
MONTHS = (0, 10_000, 100_000, MILLION, 10 * MILLION, 30 * MILLION)

PAGE = """# What it costs on AWS

`make docs` computes this page from the prices at its end: us-east-1, list prices, without the free
tier. The models' tokens are extra; their providers bill you for them.

## Idle

**${idle:.2f} a month**: {keys} keys ${of_keys:.2f}, {alarms} alarms ${of_alarms:.2f}, a dashboard
${of_dashboard:.2f}. The first ten alarms and three dashboards of an account are free, which leaves
${of_keys:.2f}. Nothing runs while idle, so you pay for nothing else.

## A million requests

The price depends on how long the model takes to respond and on the function's memory, because AWS
bills a Lambda for the time it waits. A fan-out to several models waits once, for the slowest.

{by_size}

Each of these includes ${of_api:.2f} for API Gateway, up to ${of_traces:.2f} for X-Ray (it records
one request a second and {sampled:.0%} of the others), ${of_logs:.2f} for logs ({log:g} kB a
request) and ${of_data:.2f} for outgoing data ({response:g} kB a response).

## A month, compared with an always-on proxy

This is for 512 MB, responses that take 3 s, and evenly spread requests. It includes
${of_metrics:.2f} for the gateway's own metrics ({models} models, {modes} modes, a request in every
hour; AWS bills them by the hour).

{by_month}

"LiteLLM on ECS" is AWS's guidance: two tasks, a database, a cache, NAT and a firewall. This stack
costs more than that above {even:.0f} million requests a month. "One task" is a single task and a
load balancer, with no second zone and no spare. This stack costs more than that above
{even_small:.1f} million.

## A job of a million lines

The price depends on how long a response takes and on the workers' memory ([jobs](bulk.md)). It
includes the planner and the finisher. A worker has up to {shard} lines in flight, which share the
cost of its waiting.

{by_job}

For 3 s and 1,024 MB that is: functions ${job.functions:.2f}, state machine ${job.states:.2f}, S3
${job.storage:.2f}, DynamoDB ${job.records:.2f}, logs ${job.logs:.2f}. This is computed, not
measured. It assumes that a shard of {shard} lines takes as long as {waves} responses and
{overhead} s more, with one S3 write, one status read and {count_writes} writes of counts a second,
and {transitions} state transitions. It does not include storage (${of_storage:g} a GB a month, for
`fanout:file_days`), the jobs' own metrics (${of_job_metrics:.2f} a month with a job in every hour)
and work that is repeated after a fault. The same million as single requests costs ${alone:.2f} at
512 MB.

## What would change it

* Provisioned concurrency (512 MB) costs ${of_warm:.2f} a month for each environment that it keeps
  warm, used or not ([why it is off](aws.md)).
* A web application firewall costs $7.00 a month in AWS's guidance, and more for each request.
* x86_64 instead of arm64 makes the function a quarter more expensive.
* Fewer models in the config, or fewer modes in use, need fewer metrics.

## The prices

Each was looked up on the given day, some in copies of AWS's pages. Check a price before you rely
on it.

{prices}
"""


def page() -> str:
    """Return docs/cost.md."""
    one_task = prices.PROXY_TASK.dollars + prices.PROXY_BALANCER.dollars
    return PAGE.format(
        idle=monthly_cost.idle(),
        keys=monthly_cost.KEYS,
        of_keys=monthly_cost.KEYS * prices.SECRET.dollars,
        alarms=monthly_cost.ALARMS,
        of_alarms=monthly_cost.ALARMS * prices.ALARM.dollars,
        of_dashboard=prices.DASHBOARD.dollars,
        by_size=_by_size(),
        of_api=prices.API.dollars,
        of_traces=monthly_cost.traces(MILLION),
        sampled=monthly_cost.SAMPLED,
        of_logs=monthly_cost.LOG_BYTES * MILLION / 1e9 * prices.LOGS.dollars,
        log=monthly_cost.LOG_BYTES / 1000,
        of_data=monthly_cost.RESPONSE_BYTES * MILLION / 1e9 * prices.DATA_OUT.dollars,
        response=monthly_cost.RESPONSE_BYTES / 1000,
        of_metrics=monthly_cost.metrics(),
        models=monthly_cost.MODELS,
        modes=monthly_cost.MODES,
        by_month=_by_month(one_task),
        even=monthly_cost.break_even(prices.PROXY.dollars) / MILLION,
        even_small=monthly_cost.break_even(one_task) / MILLION,
        shard=job_cost.SHARD,
        by_job=_by_job(),
        job=job_cost.job(MILLION, 1_024, 3),
        waves=job_cost.WAVES,
        overhead=job_cost.OVERHEAD,
        count_writes=job_cost.COUNT_WRITES,
        transitions=job_cost.TRANSITIONS,
        of_job_metrics=job_cost.METRICS * prices.METRIC.dollars,
        of_storage=prices.S3_STORAGE.dollars,
        alone=monthly_cost.per_request(MILLION, 512, 3),
        of_warm=0.5 * monthly_cost.MONTH * prices.PROVISIONED.dollars,
        prices=price_table(prices.ALL),
    )


def _by_size() -> str:
    return _by_duration(
        MEMORIES, DURATIONS, lambda memory, s: monthly_cost.per_request(MILLION, memory, s)
    )


def _by_job() -> str:
    return _by_duration(
        job_cost.MEMORIES,
        job_cost.DURATIONS,
        lambda memory, s: job_cost.job(MILLION, memory, s).total,
    )


def _by_duration(
    memories: Sequence[int], durations: Sequence[int], cost: Callable[[int, int], float]
) -> str:
    """Return a table with a row for each duration of a response and a column for each memory."""
    heads = ["response takes", *(f"{memory:,} MB" for memory in memories)]
    rows = [[f"{s} s", *(f"${cost(memory, s):.2f}" for memory in memories)] for s in durations]
    return _table(heads, rows)


def _by_month(one_task: float) -> str:
    guidance, month = prices.PROXY.dollars, monthly_cost.month
    heads = [
        "requests",
        "this stack",
        f"compared with LiteLLM on ECS (${guidance:.2f})",
        f"with one task (${one_task:.2f})",
    ]
    rows = [
        [f"{n:,}", f"${month(n):,.2f}", f"{month(n) / guidance:.0%}", f"{month(n) / one_task:.0%}"]
        for n in MONTHS
    ]
    return _table(heads, rows)


def price_table(listed: Sequence[prices.Price]) -> str:
    """Return a table of prices with their sources."""
    return _table(
        ["what", "price", "for", "looked up"],
        [[p.what, f"${_plain(p.dollars)}", p.unit, f"[{p.date}]({p.source})"] for p in listed],
    )


def _plain(dollars: float) -> str:
    """Return every digit of a price, and at least two after the point."""
    whole, _, fraction = f"{dollars:.10f}".rstrip("0").partition(".")
    return f"{whole}.{fraction:0<2}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (heads, ["---"] * len(heads), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
