"""
How often the workers of a job sync, so that all of them stay within what DynamoDB takes.

Pure.
"""

from __future__ import annotations

from math import ceil

from ..service.records import Job

MAX_SYNCS = 200
"""
Syncs a second of all workers of a job together.

Each writes up to five items of the job's collection, which takes 1,000 writes a second:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
"""

ACCOUNT_UNITS = 300
"""
Write units a second for the account of a job with a cost cap.

The account is one item with some 100 bytes for each worker, and each worker writes it.
"""

MAX_CAPPED_WORKERS = 100
"""
The most workers of a job with a cost cap: with more, each would write the account so seldom that
its lease, which lasts half a minute, could end before.
"""

PHASES = 97
"""Parts of the interval in which the shards' first syncs are."""


def max_workers(job: Job) -> int:
    """The most workers that the job may have; 0 is no limit."""
    return 0 if job.max_cost is None else MAX_CAPPED_WORKERS


def sync_times(shard: int, workers: int, *, capped: bool) -> tuple[float, float]:
    """
    The seconds to the first sync of a shard's worker, and those between two syncs.

    The first differ, because workers that start together would also write together. `capped` is
    for a job with a cost cap.
    """
    interval = workers / MAX_SYNCS
    if capped:
        interval = max(interval, workers * ceil(workers / 10) / ACCOUNT_UNITS)
    return interval * (1 + shard % PHASES) / PHASES, interval
