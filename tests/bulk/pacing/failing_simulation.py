"""
A worker whose provider fails by itself, by load, for some lines or for a time; virtual time.

`python -m tests.bulk.pacing.failing_simulation` prints a table; it takes some minutes.
"""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from fanout.bulk.pacing.adaptive_concurrency import AdaptiveConcurrency
from fanout.bulk.pacing.line_attempt import LineRequest
from fanout.errors import ErrorDetail, Overloaded, TimedOut, Unreachable
from fanout.routing.leg import Leg
from fanout.routing.retry_policy import RetryPolicy
from tests.bulk.local_jobs import line
from tests.bulk.work.worker_harness import Deployment, WorkerHarness
from tests.support.virtual_clock import now, run_threads_at_once

Place: TypeAlias = Literal["spread", "block", "end"]

REJECTION_SECONDS = 0.05
"""A server with too many calls rejects one before it works on it."""


class Failing(Struct, frozen=True):
    """
    One combination: lines and their seconds, poison lines and where they are in the file.

    The provider takes `capacity` calls at a time, `random` of the calls fail for no reason, and
    nothing succeeds from `down_at` on for `down` seconds: there is no connection, the calls hang,
    or `down_part` of them fail with this `status`.
    """

    lines: int
    latency: float
    poison: float = 0.0
    place: Place = "spread"
    capacity: float = float("inf")
    random: float = 0.0
    down_at: float = 0.0
    down: float = 0.0
    hangs: bool = False
    status: int = 0
    down_part: float = 1.0
    seed: int = 5

    def is_poison(self, number: int) -> bool:
        """Whether the line always fails."""
        count = round(self.poison * self.lines)
        if self.place == "spread":
            return int((number + 1) * self.poison) > int(number * self.poison)
        first = self.lines - count if self.place == "end" else self.lines // 3
        return first <= number < first + count


class Result(Struct, frozen=True):
    """What became of the lines; `rejected` is the part of the calls that the load rejected."""

    seconds: float
    done: int
    failed: int
    lost: int
    rejected: float
    calls: int
    calls_while_down: int
    concurrency: float


class Provider:
    """Responds to a worker's lines as the case says."""

    def __init__(self, case: Failing, folder: Path) -> None:
        self.case = case
        self.rejected = self.down_calls = self.busy = 0
        self.sent: Counter[int] = Counter()
        self._random = random.Random(case.seed)  # noqa: S311 -- the same in each run
        lines = [line(f"n{number}") for number in range(case.lines)]
        self.harness = WorkerHarness(folder, lines, lambda _: asyncio.sleep(0), size=500)
        retry = RetryPolicy(self._random.random, base=1.0, cap=20.0)
        resources = replace(self.harness.resources, send=self._send, retry=retry)
        self.harness.resources = resources

    async def _send(self, request: LineRequest, concurrency: AdaptiveConcurrency) -> object:
        self.concurrency = concurrency
        leg = Leg("a", request.request_id)
        concurrency.started(leg, is_retry=request.is_retry)
        number = int(request.line.custom_id[1:])
        self.sent[number] += 1
        try:
            await self._respond(number)
        except Exception as error:
            concurrency.ended(leg, "failed", error)
            raise
        concurrency.ended(leg, "ok", None)
        return {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}

    async def _respond(self, number: int) -> None:
        case, deployment = self.case, Deployment()
        if case.down_at <= now() < case.down_at + case.down:
            self.down_calls += 1
            if case.status:
                await asyncio.sleep(REJECTION_SECONDS)
                if self._random.random() < case.down_part:
                    raise Overloaded(deployment, ErrorDetail("down"), upstream=case.status)
                return
            if case.hangs:
                await asyncio.sleep(30)
                raise TimedOut(deployment, ErrorDetail("late"))
            await asyncio.sleep(0.001)
            raise Unreachable(deployment, ErrorDetail("down"))
        if self.busy >= case.capacity:
            self.rejected += 1
            await asyncio.sleep(REJECTION_SECONDS)
            raise Overloaded(deployment, ErrorDetail("full"), upstream=503)
        self.busy += 1
        try:
            await asyncio.sleep(case.latency * self._random.uniform(0.7, 1.3))
        finally:
            self.busy -= 1
        if case.is_poison(number) or self._random.random() < case.random:
            raise Overloaded(deployment, ErrorDetail("broken"), upstream=500)

    async def run(self) -> Result:
        """Run the job."""
        done = await self.harness.work()
        poison = sum(self.case.is_poison(number) for number in range(self.case.lines))
        calls = self.sent.total()
        return Result(
            now(),
            done.done,
            done.failed,
            self.case.lines - poison - done.done,
            self.rejected / calls,
            calls,
            self.down_calls,
            self.concurrency.limit,
        )


def simulate(case: Failing) -> Result:
    """Run one case."""
    with tempfile.TemporaryDirectory() as folder:
        provider = Provider(case, Path(folder))
        return run_threads_at_once(provider.run(), 0.0)


def table() -> Iterator[Failing]:
    """The cases of docs/bulk.md, and more."""
    for latency in (0.05, 0.5, 5.0):
        for poison in (0.0, 0.01, 0.05, 0.1, 0.3):
            yield Failing(2000, latency, poison)
        yield Failing(2000, latency, 0.1, "block")
        yield Failing(2000, latency, 0.1, "end")
        for capacity in (3, 5, 20, 80, 250):
            yield Failing(min(6000, int(capacity * 300 / latency)), latency, capacity=capacity)
        yield Failing(4000, latency, 0.1, capacity=50)
        yield Failing(4000, latency, random=0.03)
        start = 4 * latency
        yield Failing(6000, latency, down_at=start, down=300)
        yield Failing(6000, latency, down_at=start, down=300, hangs=True)
        for status, part in ((500, 1.0), (500, 0.9), (500, 0.5), (503, 1.0), (503, 0.9)):
            down = Failing(6000, latency, down_at=start, down=300, status=status)
            yield replace(down, down_part=part)
        yield from near_the_end(latency)
        yield Failing(600, 4 * latency, capacity=3)
        yield Failing(4000, latency, 0.05, "spread", 100, 0.02, start, 300)


def near_the_end(latency: float) -> Iterator[Failing]:
    """Outages of 80 to 220 s in which some calls succeed, after which few lines are left."""
    for number, (lines, capacity) in enumerate(((100, 3), (100, 10), (1000, math.inf))):
        seconds = latency * (lines / capacity if math.isfinite(capacity) else 3.0)
        for part in (0.6, 0.8, 0.95):
            yield Failing(
                lines,
                latency,
                capacity=capacity,
                down_at=0.8 * seconds,
                down=80.0 + 70.0 * number,
                status=500,
                down_part=part,
            )


def main() -> None:
    """Print the result of each case."""
    for case in table():
        print(case, simulate(case), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
