"""A table of numbers in memory that is as slow as DynamoDB, and throttles writes as it does."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from botocore.exceptions import ClientError

from fanout.bulk.aws.number_update import Condition, NumberUpdate, Sum
from fanout.bulk.aws.rate_limit_store import DynamoRateLimitStore
from tests.support.virtual_clock import now

WRITES_PER_SECOND = 1_000
"""
DynamoDB's writes a second of one item, rejected ones included:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html.
"""


def make_store(table: Any, seed: int = 1) -> DynamoRateLimitStore:
    return DynamoRateLimitStore(table, random.Random(seed).random)  # noqa: S311 -- the same in each run


class MemoryTable:
    """A table each of whose calls takes `seconds`; `writes` counts writes, also rejected ones."""

    def __init__(self, seconds: float = 0.004) -> None:
        self._half = seconds / 2
        self._numbers: dict[str, dict[str, float]] = {}
        self._room, self._filled_at = float(WRITES_PER_SECOND), 0.0
        self.writes = self.failed = self.throttled = 0

    async def numbers(self, kind: str, key: str) -> dict[str, float]:
        await asyncio.sleep(2 * self._half)
        return dict(self._numbers.get(key, {}))

    async def update_numbers(
        self, kind: str, key: str, update: NumberUpdate, *, ttl: int
    ) -> tuple[bool, dict[str, float]]:
        await asyncio.sleep(self._half)
        self.writes += 1
        try:
            self._throttle()
            done = self._apply(key, update)
            there = dict(self._numbers.get(key, {}))
        finally:
            await asyncio.sleep(self._half)
        return done, there

    def _throttle(self) -> None:
        """Reject a write beyond a second's worth of them."""
        filled = self._room + WRITES_PER_SECOND * (now() - self._filled_at)
        self._room, self._filled_at = min(WRITES_PER_SECOND, filled), now()
        if self._room < 1:
            self.throttled += 1
            error = {"Error": {"Code": "ThrottlingException", "Message": "too many writes"}}
            raise ClientError(error, "UpdateItem")
        self._room -= 1

    def _apply(self, key: str, update: NumberUpdate) -> bool:
        old = self._numbers.get(key, {})
        if not all(holds(one, old) for one in update.conditions):
            self.failed += 1
            return False
        assert update.set.keys().isdisjoint(update.add), "DynamoDB rejects paths that overlap"
        new = {name: total(one, old) for name, one in update.set.items()}
        added = {name: old.get(name, 0.0) + plus for name, plus in update.add.items()}
        self._numbers[key] = {**old, **new, **added}
        return True


def total(one: Sum, numbers: dict[str, float]) -> float:
    return one.plus + (0.0 if one.attribute is None else numbers[one.attribute])


def holds(one: Condition, numbers: dict[str, float]) -> bool:
    if one.operator == "missing":
        return one.attribute not in numbers
    if one.attribute not in numbers:
        return False
    other = numbers.get(one.other) if isinstance(one.other, str) else one.other
    if other is None:
        return False
    left = numbers[one.attribute]
    return {"<": left < other, "<=": left <= other, ">=": left >= other}[one.operator]
