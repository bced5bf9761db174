"""What a job of a million lines costs on AWS, beside its tokens: from how the stack does one."""

from __future__ import annotations

from typing import NamedTuple

from . import prices

MILLION = 1_000_000
SHARD = 200
"""Lines of a shard, the most that the planner gives one."""

# A worker begins with a hundred calls at once, so that a shard is at most two answers' time, and
# some seconds to start, read, join and write counts.
WAVES, BESIDE = 2, 2

TRANSITIONS = 3
"""States that a shard's child enters: the worker, whether it is done, its counts."""

# Once a second a worker puts what it has, writes its counts and its calls, and looks whether the
# job goes on; a shard's beginning and end are some more.
COUNTS = 2
PUTS_BESIDE, GETS_BESIDE, WRITES_BESIDE, READS_BESIDE = 4, 3, 1, 3

LOGGED = 14_000
"""Bytes: ten events of the child with their data, and the worker's own lines."""

MEMORIES = (512, 1_024, 1_769)
WAITS = (1, 3, 10, 30)
PART = 5 * 1024 * 1024
OUTPUT_LINE = 1_500
"""Bytes of an answer's line."""

ONE_CORE = 1.769
PLANNED = 50_000
"""Lines that planner and finisher are taken to go through in a second."""

METRICS = 3
"""Lines, failed ones, their cost."""


class Parts(NamedTuple):
    """Dollars, by what they are for."""

    functions: float
    states: float
    storage: float
    records: float
    logs: float

    @property
    def total(self) -> float:
        return sum(self)


def job(lines: int, memory: int, seconds: float) -> Parts:
    """A job whose answers take so long, by workers of so much memory."""
    shards = -(-lines // SHARD)
    works = WAVES * seconds + BESIDE
    waited = shards * works * memory / 1024 + 2 * lines / PLANNED * ONE_CORE
    puts = shards * (works + PUTS_BESIDE) + lines * OUTPUT_LINE / PART
    gets = shards * (works + GETS_BESIDE)
    writes = shards * (COUNTS * works + WRITES_BESIDE)
    reads = shards * (works + READS_BESIDE)
    return Parts(
        functions=waited * prices.COMPUTE["arm64"].dollars
        + shards / MILLION * prices.INVOCATION.dollars,
        states=shards * TRANSITIONS / 1_000 * prices.TRANSITION.dollars,
        storage=(puts * prices.S3_PUT.dollars + gets * prices.S3_GET.dollars) / 1_000,
        records=(writes * prices.WRITE.dollars + reads * prices.READ.dollars) / MILLION,
        logs=shards * LOGGED / 1e9 * prices.LOGS.dollars,
    )
