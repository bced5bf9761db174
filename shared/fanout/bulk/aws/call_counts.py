"""
A job's calls, in flight and refused, as its workers tell them: one small record of each worker.

A worker writes its own, where it has changed; one that made no call, or has none in flight and was
never refused, has no record. Of a worker that was killed nothing counts as in flight any more once
its record is no longer fresh.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ..totals import CallCounts
from .dynamodb import DynamoTable, item_key

FRESH = 10.0
"""Seconds for which calls in flight are believed; who still has some says so twice as often."""

PREFIX = "worker#"


class Calls:
    """One worker's record, in the place of its job's counts; DynamoDB drops it at `ttl`."""

    def __init__(
        self, table: DynamoTable, kind: str, meter: CallCounts, now: Callable[[], float], ttl: int
    ) -> None:
        self._table = table
        self._kind = kind
        self._meter = meter
        self._now = now
        self._ttl = ttl
        self._name = f"{PREFIX}{secrets.token_hex(6)}"
        self._told = CallCounts()
        self._told_at = 0.0

    async def sync(self) -> None:
        """Tell what has changed, or would no longer be believed."""
        seen, at = replace(self._meter), self._now()
        is_old = seen.in_flight > 0 and at >= self._told_at + FRESH / 2
        if seen == self._told and not is_old:
            return
        if seen == CallCounts():
            await self._table.delete(self._kind, self._name)
        else:
            await self._table.write_if(
                self._table.client.put_item,
                Item=item_key(self._kind, self._name)
                | {
                    "in_flight": {"N": str(seen.in_flight)},
                    "refused": {"N": str(seen.refused)},
                    "at": {"N": f"{at:.3f}"},
                    "ttl": {"N": str(self._ttl)},
                },
            )
        self._told, self._told_at = seen, at


def tells_calls(item: dict[str, Any]) -> bool:
    """Whether it is a worker's record."""
    return bool(item["id"]["S"].startswith(PREFIX))


def calls_of(item: dict[str, Any], now: float) -> CallCounts:
    """A worker's calls, those in flight only of a fresh record."""
    is_fresh = float(item["at"]["N"]) > now - FRESH
    in_flight = int(item["in_flight"]["N"]) if is_fresh else 0
    return CallCounts(in_flight, int(item["refused"]["N"]))
