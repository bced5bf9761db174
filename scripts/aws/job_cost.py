"""What a bulk job costs on AWS without its tokens, computed from what its workers do."""

from __future__ import annotations

from typing import NamedTuple

from . import prices

MILLION = 1_000_000
SHARD = 200
"""Lines of a shard: the most that the planner puts into one."""

# A worker starts with a hundred calls at once, so a shard takes at most as long as two responses,
# and some seconds to start, read, join and write counts.
WAVES, OVERHEAD = 2, 2

TRANSITIONS = 3
"""States that a shard's child execution enters: the worker, the choice, the end."""

# Once a second a worker stores its results, writes two sets of counts, and reads whether the job
# goes on. A shard's start and end need a few more.
COUNT_WRITES = 2
EXTRA_PUTS, EXTRA_GETS, EXTRA_WRITES, EXTRA_READS = 4, 3, 1, 3

OBJECT_EVENTS = 2
"""
Events of S3 that EventBridge bills for each object: it is created, and deleted or expires.

EventBridge gets all events of the bucket, as S3 has no filter for them:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventBridge.html (2026-11).
"""

MERGED_OBJECTS = 1
"""Objects to which a shard's results are merged at its end."""

WAIT, WAIT_TRANSITIONS = 300, 3
"""
Seconds after which a shard asks again that has waited for a place for long, on average, and the
states that its child execution enters each time. `fanout.bulk.aws.worker_slots` has the first.
"""

LOGGED = 14_000
"""Bytes a shard: ten events of the child execution with their data, and the worker's own lines."""

MEMORIES = (512, 1_024, 1_769)
DURATIONS = (1, 3, 10, 30)
PART = 5 * 1024 * 1024
OUTPUT_LINE = 1_500
"""Bytes of an output line."""

ONE_VCPU = 1.769
"""GB of memory at which a Lambda has one vCPU."""

LINES_PER_SECOND = 50_000
"""Lines that planner and finisher are assumed to process in a second."""

METRICS = 3
"""The metrics of jobs: lines, failed lines, and their cost."""


class Parts(NamedTuple):
    """Dollars by AWS service."""

    functions: float
    states: float
    storage: float
    events: float
    records: float
    logs: float

    @property
    def total(self) -> float:
        return sum(self)


def job(lines: int, memory: int, seconds: float) -> Parts:
    """Return the cost of a job whose responses take `seconds`, with workers of `memory` MB."""
    shards = -(-lines // SHARD)
    work = WAVES * seconds + OVERHEAD
    gb_seconds = shards * work * memory / 1024 + 2 * lines / LINES_PER_SECOND * ONE_VCPU
    puts = shards * (work + EXTRA_PUTS) + lines * OUTPUT_LINE / PART
    gets = shards * (work + EXTRA_GETS)
    objects = shards * (work + MERGED_OBJECTS)
    writes = shards * (COUNT_WRITES * work + EXTRA_WRITES)
    reads = shards * (work + EXTRA_READS)
    return Parts(
        functions=gb_seconds * prices.COMPUTE["arm64"].dollars
        + shards / MILLION * prices.INVOCATION.dollars,
        states=shards * TRANSITIONS / 1_000 * prices.TRANSITION.dollars,
        storage=(puts * prices.S3_PUT.dollars + gets * prices.S3_GET.dollars) / 1_000,
        events=objects * OBJECT_EVENTS / MILLION * prices.EVENT.dollars,
        records=(writes * prices.WRITE.dollars + reads * prices.READ.dollars) / MILLION,
        logs=shards * LOGGED / 1e9 * prices.LOGS.dollars,
    )


def waiting(days: float) -> float:
    """Return what a shard costs that waits for a place for so many days: its transitions."""
    return days * 86_400 / WAIT * WAIT_TRANSITIONS / 1_000 * prices.TRANSITION.dollars
