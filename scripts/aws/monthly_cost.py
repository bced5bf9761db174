"""What the stack costs a month on AWS, computed from list prices. The models' tokens are extra."""

from __future__ import annotations

from . import prices

MILLION = 1_000_000
MONTH = 730 * 3600
"""Seconds."""

# The default stack: three models and the gateway's own key (config.aws.yaml), clients that use two
# modes, and responses of a few hundred words.
KEYS = 4
MODELS = 3
MODES = 2
ALARMS = 10
ATTEMPT_METRICS, REQUEST_METRICS = 7, 3
LOG_BYTES = 2_500
RESPONSE_BYTES = 4_000
KEY_REFRESH = 300
"""Seconds between two reads of a key, in each environment that is in use."""

LOOK_MEMORY, LOOK_SECONDS = 1_769, 1.5
"""Of the finisher, with its start."""

SAMPLED = 0.05
"""X-Ray's default rule: it records one request a second, and this share of the others."""


def compute(requests: float, memory: int, seconds: float, machine: str = "arm64") -> float:
    """Return the function's own cost; AWS bills its running time by its memory in MB."""
    gb_seconds = requests * seconds * memory / 1024
    invocations = requests / MILLION * prices.INVOCATION.dollars
    return gb_seconds * prices.COMPUTE[machine].dollars + invocations


def per_request(requests: float, memory: int, seconds: float) -> float:
    """Return everything that depends on the number of requests, for one month."""
    api = requests / MILLION * prices.API.dollars
    logs = requests * LOG_BYTES / 1e9 * prices.LOGS.dollars
    out = requests * RESPONSE_BYTES / 1e9 * prices.DATA_OUT.dollars
    own = compute(requests, memory, seconds) + reads(requests, seconds)
    return own + api + logs + out + traces(requests)


def reads(requests: float, seconds: float) -> float:
    """Return the cost of looking whether a request is cancelled, once a second while it is open."""
    return requests * int(seconds) / MILLION * prices.READ.dollars


def traces(requests: float) -> float:
    """Return X-Ray's cost for evenly spread requests, the most that they can cost."""
    recorded = min(requests, MONTH) + max(requests - MONTH, 0) * SAMPLED
    return recorded / MILLION * prices.TRACES.dollars


def looks() -> float:
    """Return the cost of the finisher's hourly look for overdue jobs."""
    count = MONTH / 3600
    return compute(count, LOOK_MEMORY, LOOK_SECONDS)


def idle() -> float:
    """Return the cost of a month without a request and without the optional dashboard."""
    return KEYS * prices.SECRET.dollars + ALARMS * prices.ALARM.dollars + looks()


def metrics() -> float:
    """Return the metrics' cost in a month with requests in every hour; AWS bills them hourly."""
    attempts = ATTEMPT_METRICS * (1 + MODELS + MODES)
    return (attempts + REQUEST_METRICS * (1 + MODES)) * prices.METRIC.dollars


def month(requests: float, memory: int = 512, seconds: float = 3) -> float:
    """Return the whole bill of a month with that many evenly spread requests."""
    if not requests:
        return idle()
    environments = max(1.0, requests * seconds / MONTH)
    key_reads = environments * KEYS * MONTH / KEY_REFRESH
    secrets = key_reads / 10_000 * prices.SECRET_CALLS.dollars
    return idle() + metrics() + secrets + per_request(requests, memory, seconds)


def break_even(dollars: float) -> float:
    """Return the number of requests a month for which the bill is `dollars`."""
    low, high = 0.0, 1e10
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (middle, high) if month(middle) < dollars else (low, middle)
    return low
