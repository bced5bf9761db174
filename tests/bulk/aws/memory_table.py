"""A table of rate limits in memory."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from fanout.bulk.aws.rate_limit_store import DynamoRateLimitStore


def make_store(table: Any, seed: int = 1) -> DynamoRateLimitStore:
    return DynamoRateLimitStore(table, random.Random(seed).random)  # noqa: S311 -- the same in each run


class MemoryTable:
    """A table each of whose calls takes 4 ms; `writes` counts the writes."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self.writes = 0

    async def get(self, kind: str, key: str) -> bytes | None:
        await asyncio.sleep(0.004)
        return self._values.get(key)

    async def compare_and_swap(
        self, kind: str, key: str, new: bytes, old: bytes | None, *, ttl: int
    ) -> tuple[bool, bytes | None]:
        await asyncio.sleep(0.002)
        self.writes += 1
        done = self._values.get(key) == old
        if done:
            self._values[key] = new
        there = self._values[key]
        await asyncio.sleep(0.002)
        return done, there
