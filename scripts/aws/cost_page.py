"""The page docs/cost.md: what the stack costs on AWS."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import instance_cost, job_cost, lane_table, monthly_cost, prices
from .monthly_cost import MILLION

MEMORIES = (256, 512, 1_024)
COMPARED = (512, 1_024)
DURATIONS = (1, 3, 10, 30)
MONTHS = (0, 10_000, 100_000, MILLION, 10 * MILLION, 30 * MILLION)

PAGE = """# What it costs on AWS

This page says what the stack costs when idle, for requests, and for jobs. For example, 100,000
requests a month with responses that take 3 s cost ${example:.2f} on AWS, at 512 MB.

The figures are for us-east-1, at list prices, without the free tier. The models' tokens are extra;
their providers bill you for them. `make docs` computes the page from the prices at its end.

## Idle

**${idle:.2f} a month at list price, ${idle_free:.2f} in an account whose ten free alarms are
unused.** {keys} keys cost ${of_keys:.2f}, {alarms} alarms ${of_alarms:.2f}, and the hourly look for
overdue jobs ${of_looks:.2f}. Nothing else runs or is billed while idle.

`fanout:dashboard` adds a dashboard for ${of_dashboard:.2f}; an account's first three are free.

## A million requests

The price depends on how long the model takes to respond and on the function's memory, because AWS
bills a Lambda for the time it waits. A fan-out to several models waits once, for the slowest.

{by_size}

Each of these includes ${of_api:.2f} for API Gateway, up to ${of_traces:.2f} for X-Ray (it records
one request a second and {sampled:.0%} of the others), ${of_logs:.2f} for logs ({log:g} kB a
request) and ${of_data:.2f} for outgoing data ({response:g} kB a response).

It also includes ${of_reads:g} of DynamoDB for each second that a response takes: the function looks
once a second whether the request is [cancelled](aws.md#cancel-a-request).

## A month, compared with an always-on proxy

This is for 512 MB, responses that take 3 s, and evenly spread requests. It includes
${of_metrics:.2f} for the gateway's own metrics ({models} models, {modes} modes, a request in every
hour; AWS bills them by the hour).

{by_month}

"LiteLLM on ECS" is AWS's guidance: two tasks, a database, a cache, NAT and a firewall. This stack
costs more than that above {even:.0f} million requests a month. "One task" is a single task and a
load balancer, with no second zone and no spare. This stack costs more than that above
{even_small:.1f} million.

## On managed instances

`fanout:compute` = `managed-instances` runs the function on {instances} EC2 instances that serve
many requests at once ([how](aws.md#many-requests-in-one-environment)). They cost
**${of_instances:.2f} a month, used or not**: `m7g.large` with Lambda's fee of {fee:.0%}, a NAT
gateway and its address. A million requests cost ${of_instance_requests:.2f} more. The rest of the
bill is the same on both.

{by_compute}

So instances pay off for a steady load only: with 3 s and 512 MB, from {even_rate:.1f} requests a
second, day and night. EC2's savings plans lower their price, but not Lambda's fee.

This is computed, not measured. Lambda chooses the instances' type unless `fanout:instance_types`
does, and larger ones cost more. The disks of the instances and more instances under load are not
included. "At most" is what the limit of 64 requests an environment allows; how many
requests a vCPU can process has not been measured on AWS.

## A job of a million lines

The price depends on how long a response takes and on the workers' memory ([jobs](bulk.md)). It
includes the planner and the finisher. A worker has up to {shard} lines in flight, which share the
cost of its waiting.

{by_job}

For 3 s and 1,024 MB that is: functions ${job.functions:.2f}, state machine ${job.states:.2f}, S3
${job.storage:.2f}, its events ${job.events:.2f}, DynamoDB ${job.records:.2f}, logs
${job.logs:.2f}. The same million as single requests costs ${alone:.2f} at 512 MB.

This is computed, not measured. It assumes that a shard of {shard} lines takes as long as {waves}
responses and {overhead} s more, with {transitions} state transitions. Each second has one S3 write,
one status read and {count_writes} writes of counts. The inbox needs the bucket's events in
EventBridge, and S3 sends there those of every object: one when it is created, one when it is
deleted or expires.

It does not include storage (${of_storage:g} a GB a month, for `fanout:file_days`), the jobs' own
metrics (${of_job_metrics:.2f} a month with a job in every hour) and work that is repeated after a
fault.

While as many workers run as may, other shards wait. Each asks again after 30 s, and later each
time, up to every {wait:.0f} minutes: {wait_transitions} state transitions, so ${of_waiting:.3f} a
day for a shard. A job has at most `fanout:bulk_workers` shards that wait: by default
${of_waiting_job:.2f} a day, and ${of_waiting_many:.2f} for the 250 of a job with 500 workers that
shares 500 slots of workers with another one.

{lanes}
## What would change it

* Provisioned concurrency (512 MB) costs ${of_warm:.2f} a month for each environment that it keeps
  warm, used or not ([why it is off](aws.md)).
* `fanout:snapstart` (512 MB) costs ${of_snapshot:.2f} a month, used or not, and ${of_restores:.2f}
  for 10,000 starts of environments.
* A web application firewall costs $7.00 a month in AWS's guidance, and more for each request.
* x86_64 instead of arm64 makes the function a quarter more expensive.
* Fewer models in the config, or fewer modes in use, need fewer metrics. If they are in use, votes
  add eight, a judge six, and hedges by recent times four.

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
        idle_free=monthly_cost.idle() - monthly_cost.ALARMS * prices.ALARM.dollars,
        of_looks=monthly_cost.looks(),
        of_dashboard=prices.DASHBOARD.dollars,
        by_size=_by_size(),
        of_api=prices.API.dollars,
        of_traces=monthly_cost.traces(MILLION),
        sampled=monthly_cost.SAMPLED,
        of_logs=monthly_cost.LOG_BYTES * MILLION / 1e9 * prices.LOGS.dollars,
        log=monthly_cost.LOG_BYTES / 1000,
        of_data=monthly_cost.RESPONSE_BYTES * MILLION / 1e9 * prices.DATA_OUT.dollars,
        response=monthly_cost.RESPONSE_BYTES / 1000,
        example=monthly_cost.month(100_000),
        of_reads=monthly_cost.reads(MILLION, 1),
        of_metrics=monthly_cost.metrics(),
        models=monthly_cost.MODELS,
        modes=monthly_cost.MODES,
        by_month=_by_month(one_task),
        even=monthly_cost.break_even(prices.PROXY.dollars) / MILLION,
        even_small=monthly_cost.break_even(one_task) / MILLION,
        instances=instance_cost.INSTANCES,
        of_instances=instance_cost.idle(),
        fee=prices.FEE.dollars,
        of_instance_requests=instance_cost.per_request(MILLION),
        by_compute=_by_compute(),
        even_rate=instance_cost.break_even(512, 3) / monthly_cost.MONTH,
        shard=job_cost.SHARD,
        by_job=_by_job(),
        job=job_cost.job(MILLION, 1_024, 3),
        waves=job_cost.WAVES,
        overhead=job_cost.OVERHEAD,
        count_writes=job_cost.COUNT_WRITES,
        transitions=job_cost.TRANSITIONS,
        wait=job_cost.WAIT / 60,
        wait_transitions=job_cost.WAIT_TRANSITIONS,
        of_waiting=job_cost.waiting(1),
        of_waiting_job=20 * job_cost.waiting(1),
        of_waiting_many=250 * job_cost.waiting(1),
        of_job_metrics=job_cost.METRICS * prices.METRIC.dollars,
        of_storage=prices.S3_STORAGE.dollars,
        alone=monthly_cost.per_request(MILLION, 512, 3),
        of_warm=0.5 * monthly_cost.MONTH * prices.PROVISIONED.dollars,
        of_snapshot=0.5 * monthly_cost.MONTH * prices.SNAPSHOT.dollars,
        of_restores=0.5 * 10_000 * prices.RESTORE.dollars,
        lanes=lane_table.section(),
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


def _by_compute() -> str:
    heads = [
        "response takes",
        *(f"a million on Lambda, {memory:,} MB" for memory in COMPARED),
        *(f"both cost the same at, {memory:,} MB" for memory in COMPARED),
        "at most, with three environments",
    ]
    rows = [
        [
            f"{s} s",
            *(f"${monthly_cost.compute(MILLION, memory, s):.2f}" for memory in COMPARED),
            *(
                f"{instance_cost.break_even(memory, s) / MILLION:.1f} million a month"
                for memory in COMPARED
            ),
            f"{instance_cost.most(s):.0f} a second",
        ]
        for s in DURATIONS
    ]
    return _table(heads, rows)


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
