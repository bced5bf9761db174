"""Providers that enforce a limit without stating it, and whole jobs with them in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from tests.bulk.local_jobs import CONFIG, EchoProvider, jsonl, line, open_jobs
from tests.support.virtual_clock import now, run_threads_at_once

Kind: TypeAlias = Literal["fixed", "sliding", "bucket", "small bucket"]
MINUTE = 60.0
REJECTION_SECONDS = 0.1
"""A provider rejects a call before it works on it."""


class Window:
    """At most `limit` in each minute of the clock, or (`sliding`) in the last minute."""

    def __init__(self, limit: int, *, sliding: bool) -> None:
        self.limit = limit
        self._sliding = sliding
        self._recent: deque[float] = deque()

    def wait(self, at: float) -> float:
        """Seconds until a call is allowed; 0 if it is, and then it is counted."""
        start = at - MINUTE if self._sliding else at // MINUTE * MINUTE - 1e-9
        while self._recent and self._recent[0] <= start:
            self._recent.popleft()
        if len(self._recent) < self.limit:
            self._recent.append(at)
            return 0.0
        return self._recent[0] + MINUTE - at if self._sliding else MINUTE - at % MINUTE


class Bucket:
    """Refilled at the limit's rate, up to `capacity` calls."""

    def __init__(self, limit: int, capacity: float) -> None:
        self.limit = limit
        self._rate, self._capacity = limit / MINUTE, capacity
        self._level, self._at = capacity, 0.0

    def wait(self, at: float) -> float:
        """Seconds until a call is allowed; 0 if it is, and then it is counted."""
        self._level = min(self._capacity, self._level + (at - self._at) * self._rate)
        self._at = at
        if self._level >= 1:
            self._level -= 1
            return 0.0
        return (1 - self._level) / self._rate


def make_quota(kind: Kind, limit: int) -> Window | Bucket:
    if kind == "small bucket":
        return Bucket(limit, max(1.0, limit / 30))
    if kind == "bucket":
        return Bucket(limit, limit)
    return Window(limit, sliding=kind == "sliding")


class LimitedProvider(EchoProvider):
    """Rejects calls over its limit with a 429, with `Retry-After` or without any header."""

    def __init__(self, quota: Window | Bucket, latency: float, *, retry_after: bool) -> None:
        super().__init__()
        self.accepted: list[float] = []
        self.rejected: list[float] = []
        self._quota, self._latency, self._retry_after = quota, latency, retry_after
        self.before = self._limit

    async def _limit(self, _model: str, _text: str) -> tuple[int, Mapping[str, str]] | None:
        at = asyncio.get_running_loop().time()
        if wait := self._quota.wait(at):
            self.rejected.append(at)
            await asyncio.sleep(min(REJECTION_SECONDS, self._latency))
            return 429, {"retry-after": str(max(1, round(wait + 0.5)))} if self._retry_after else {}
        self.accepted.append(at)
        await asyncio.sleep(self._latency)
        return None


class Outcome(Struct, frozen=True):
    """What a job had: the rejected part of its calls, and the used part of the allowed rate."""

    rejected: float
    used: float
    seconds: float


def run_limited_job(
    home: Path,
    kind: Kind,
    limit: int,
    latency: float,
    lines: int,
    *,
    retry_after: bool = False,
    config: Mapping[str, Any] = CONFIG,
) -> Outcome:
    provider = LimitedProvider(make_quota(kind, limit), latency, retry_after=retry_after)

    async def main() -> float:
        async with open_jobs(home, provider, now=now, config=config, sync_interval=1.0) as jobs:
            job = await jobs.create(jsonl(line(f"n{i}") for i in range(lines)))
            while not (job := await jobs.job(job)).is_over:  # noqa: ASYNC110 -- it is in a file
                await asyncio.sleep(1)
            assert (job.status, job.totals and job.totals.failed) == ("completed", 0)
            return asyncio.get_running_loop().time()

    seconds = run_threads_at_once(main(), 0.0)
    ideal = max(lines * MINUTE / limit, lines / 400 * latency) + latency
    calls = len(provider.accepted) + len(provider.rejected)
    return Outcome(len(provider.rejected) / calls, ideal / seconds, seconds)
