"""A provider that enforces requests and tokens a minute, and twenty workers who ask it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from fanout.bulk.pace import Pacer
from tests.virtual_clock import now

MINUTES = 5


class Counter:
    """A provider that counts requests and tokens in any sixty seconds, and refuses what is over."""

    def __init__(self, requests: int, tokens: int) -> None:
        self._limits = requests, tokens
        self._seen: deque[tuple[float, int]] = deque()
        self._spent = 0
        self.allowed = self.refused = self.tokens = 0

    def ask(self, tokens: int) -> bool:
        while self._seen and self._seen[0][0] <= now() - 60:
            self._spent -= self._seen.popleft()[1]
        if len(self._seen) >= self._limits[0] or self._spent + tokens > self._limits[1]:
            self.refused += 1
            return False
        self._seen.append((now(), tokens))
        self._spent += tokens
        self.allowed += 1
        self.tokens += tokens
        return True


async def workers(
    provider: Counter,
    pacer: Callable[[], Pacer],
    size: Callable[[], int],
    estimate: int,
    *,
    minutes: float = MINUTES,
    each: int = 10,
) -> None:
    """Twenty workers, each with so many lines under way, for some minutes of virtual time."""

    async def line(own: Pacer) -> None:
        while now() < 60 * minutes:
            tokens = size()
            async with own.turn("m", estimate) as turn:
                if now() >= 60 * minutes:
                    return
                provider.ask(tokens)
                await asyncio.sleep(0.8)
                turn.used = tokens

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            own = pacer()
            for _ in range(each):
                group.create_task(line(own))
