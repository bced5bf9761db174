"""Up to a thousand workers that work off a job's shards, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fanout.bulk.pacing.limits import Limits
from fanout.bulk.pacing.rate_limit_state import RateLimitUnavailable
from fanout.bulk.pacing.rate_limiter import RateLimiter
from tests.bulk.pacing.rate_limited_provider import RateLimitedProvider
from tests.support.virtual_clock import now, run

from .memory_table import MemoryTable, make_store

SHARD_LINES = 200
RESPONSE_SECONDS = 3.0


@dataclass
class Outcome:
    """What a run did: shares of 1, and counts."""

    used: float
    rejected: float
    failed_workers: int
    writes_per_second: float
    lost_writes: float
    throttled: int
    finished_shards: int


def run_many_workers(
    workers: int,
    requests: int,
    tokens: int,
    *,
    call_seconds: float,
    size: Callable[[], int],
    minutes: float,
    lines_in_flight: int = 100,
) -> Outcome:
    """
    Let so many workers send shards of 200 lines to a model with so many requests a minute.

    Use is measured after the first minute, in which the provider's window is still empty.
    """
    made = _ManyWorkers(requests, tokens, call_seconds, size, minutes, lines_in_flight)
    return run(made.run(workers))


class _ManyWorkers:
    def __init__(
        self,
        requests: int,
        tokens: int,
        call_seconds: float,
        size: Callable[[], int],
        minutes: float,
        lines_in_flight: int,
    ) -> None:
        self._limits = requests, tokens
        self._provider = RateLimitedProvider(requests, tokens)
        self._table = MemoryTable(call_seconds)
        self._size = size
        self._end = 60 * minutes
        self._lines_in_flight = lines_in_flight
        self._failed = self._shards = 0

    async def run(self, workers: int) -> Outcome:
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(number))
            group.create_task(self._note_first_minute())
        allowed = self._provider.allowed - self._first[0]
        tokens = self._provider.tokens - self._first[1]
        minutes = self._end / 60 - 1
        requests_limit, tokens_limit = self._limits
        asked = self._provider.allowed + self._provider.refused
        return Outcome(
            max(allowed / (requests_limit * minutes), tokens / (tokens_limit * minutes)),
            self._provider.refused / asked,
            self._failed,
            self._table.writes / self._end,
            self._table.failed / self._table.writes,
            self._table.throttled,
            self._shards,
        )

    async def _note_first_minute(self) -> None:
        await asyncio.sleep(60)
        self._first = self._provider.allowed, self._provider.tokens

    async def _work(self, number: int) -> None:
        """One place of the job's map: an environment that gets one shard after the other."""
        store = make_store(self._table, number)
        limiter = RateLimiter(store, lambda _: Limits(*self._limits), now)
        while now() < self._end:
            try:
                await self._send_shard(limiter)
                await store.flush()
                self._shards += now() < self._end
            except* (RateLimitUnavailable, OSError):
                self._failed += 1

    async def _send_shard(self, limiter: RateLimiter) -> None:
        lines = iter(range(SHARD_LINES))

        async def send_lines() -> None:
            for _ in lines:
                if not await self._send_line(limiter):
                    return

        try:
            async with asyncio.timeout(max(0.0, self._end - now())), asyncio.TaskGroup() as group:
                for _ in range(self._lines_in_flight):
                    group.create_task(send_lines())
        except TimeoutError:
            pass

    async def _send_line(self, limiter: RateLimiter) -> bool:
        tokens = self._size()
        while now() < self._end:
            async with limiter.permit("m", 150) as permit:
                if self._provider.allow(tokens):
                    await asyncio.sleep(RESPONSE_SECONDS)
                    permit.tokens_used = tokens
                    return True
                await limiter.pause("m", self._provider.retry_after)
        return False
